#!/usr/bin/env python3
"""Writes tiny models, rows of packed documents, and the gradients that PyTorch computes for them.

    python3 make_gradients.py            all models
    python3 make_gradients.py NAME...    some of them

gradients/NAME/           a Hugging Face directory: config.json, model.safetensors (seeded random weights, bf16)
gradients/NAME/expected/  the same configuration with the gradients in the place of the weights, f32
gradients/NAME/rows.json  ids, targets (-1: nothing is predicted), tokens of each row, tokens of each document
gradients/NAME/losses.f32 -log p(target) of each token, little-endian, 0 where nothing is predicted

A document is run through LlamaForCausalLM alone, so attention does not cross documents and positions begin again; the
gradient is that of the sum of all losses. The reference runs in float64 from the stored weights, with cosines and sines
computed as transformers does (angles in f32), and is rounded to f32 once; a second run in float32 has to agree with it.

Run with Python 3.11, torch 2.15.0 (CPU, one thread), transformers 5.23.0, safetensors 0.8.0.
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gradients")
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
AGREEMENT = 2e-5  # of the norm of a tensor's gradient, between float32 and float64


def shape(D, H, G, S, F, V, L, rows, seed, **more):
    """D width, H heads, G key/value heads, S head size, F feed-forward width, V vocabulary, L layers; rows: the lengths
    of each row's documents."""
    return dict(D=D, H=H, G=G, S=S, F=F, V=V, L=L, rows=rows, seed=seed,
                **{"tied": False, "rope": PLAIN, "context": 128, "eps": 1e-5, **more})


MODELS = {
    # one key/value head for each query head; rows that fill their steps and rows that do not
    "mha": shape(32, 4, 4, 8, 44, 50, 2, [[40], [32], [7, 25, 9]], 31),
    # a tied head; no width a multiple of 32, H x S not D; a document of one token
    "gqa2-tied-odd": shape(36, 6, 3, 10, 45, 53, 2, [[20, 1, 50], [70]], 32, tied=True, eps=0.01),
    # one key/value head for eight query heads; Llama 3.1's scaling with all three bands in use
    "mqa8-llama3": shape(40, 8, 1, 6, 42, 37, 2, [[100, 28], [64, 64]], 33, rope=LLAMA3),
    # linear scaling, a head wider than a step
    "gqa2-wide-linear-tied": shape(24, 4, 2, 34, 40, 48, 1, [[33, 60]], 34, rope=LINEAR, tied=True),
    # a document over two spans of 512 keys, behind a short one
    "gqa2-long": shape(16, 2, 1, 8, 24, 40, 2, [[10, 600]], 35, context=1024),
    # wide enough for two shards of the products that tensor parallelism would split, the second of F uneven
    "two-shards": shape(4, 4, 2, 512, 2061, 33, 1, [[9, 14]], 36),
}


def make_model(m):
    config = LlamaConfig(
        vocab_size=m["V"], hidden_size=m["D"], intermediate_size=m["F"], num_hidden_layers=m["L"],
        num_attention_heads=m["H"], num_key_value_heads=m["G"], head_dim=m["S"], max_position_embeddings=m["context"],
        rms_norm_eps=m["eps"], tie_word_embeddings=m["tied"], rope_parameters=dict(m["rope"]), bos_token_id=1,
        eos_token_id=2, attn_implementation="eager")
    model = LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(m["seed"])
    with torch.no_grad():
        for name, p in model.named_parameters():
            values = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            if p.ndim == 1:
                values = 1 + 0.4 * values
            elif "embed_tokens" in name:
                values *= 0.3 if m["tied"] else 0.6
            else:
                values *= 1.2 / p.shape[1] ** 0.5
            p.copy_(values.to(torch.bfloat16).to(torch.float32))
    return model


def make_rows(m):
    """ids and targets of all rows, one after the other: the next token of the document, and now and then nothing."""
    generator = torch.Generator().manual_seed(m["seed"] + 1000)
    documents = [torch.randint(0, m["V"], (n,), generator=generator).tolist() for row in m["rows"] for n in row]
    ids, targets = [], []
    for d in documents:
        ids += d
        nothing = torch.rand(len(d), generator=generator).lt(0.1).tolist()
        targets += [-1 if skip else t for skip, t in zip(nothing, d[1:] + [-1])]
    return documents, ids, targets


def gradients(model, documents, targets, dtype):
    """Gradients of the sum of losses by name, and the losses."""
    model = model.to(dtype)
    model.zero_grad(set_to_none=True)
    losses, at = [], 0
    for d in documents:
        wanted = torch.tensor(targets[at:at + len(d)])
        at += len(d)
        logits = model(torch.tensor([d])).logits[0]
        loss = torch.nn.functional.cross_entropy(logits, wanted, ignore_index=-1, reduction="none")
        loss.sum().backward()
        losses += loss.detach().tolist()
    return {name: p.grad.detach().clone() for name, p in model.named_parameters()}, losses


def write(name, m):
    folder = os.path.join(FOLDER, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "expected"))
    model = make_model(m)
    documents, ids, targets = make_rows(m)
    weights = {n: p.detach().to(torch.bfloat16).contiguous() for n, p in model.named_parameters()}
    single, _ = gradients(model, documents, targets, torch.float32)
    double, losses = gradients(model, documents, targets, torch.float64)
    for n in double:
        off = ((single[n] - double[n]).norm() / double[n].norm()).item()
        if not off <= AGREEMENT:
            sys.exit(f"{name}: {n}: float32 is {off:.1e} off")
    for path in (folder, os.path.join(folder, "expected")):
        model.to(torch.float32).config.save_pretrained(path)
    save_file(weights, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    save_file({n: g.to(torch.float32).contiguous() for n, g in double.items()},
              os.path.join(folder, "expected", "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(folder, "rows.json"), "w") as f:
        json.dump({"ids": ids, "targets": targets, "rows": [sum(r) for r in m["rows"]],
                   "documents": [n for r in m["rows"] for n in r]}, f)
        f.write("\n")
    with open(os.path.join(folder, "losses.f32"), "wb") as f:
        f.write(torch.tensor(losses, dtype=torch.float32).numpy().astype("<f4").tobytes())
    print(name, f"{sum(losses) / sum(t >= 0 for t in targets):.4f} a token")


def main():
    torch.set_num_threads(1)
    for name, m in MODELS.items():
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            write(name, m)


if __name__ == "__main__":
    main()
