#!/usr/bin/env python3
"""Writes the tiny models of this folder and what Hugging Face transformers computes with them.

    python3 make_fixtures.py            all models
    python3 make_fixtures.py NAME...    some of them

models/NAME/         a Hugging Face directory: config.json, *.safetensors (seeded random weights)
models/NAME.gguf     the same as one file, in the block formats of GGUF
expected/NAME.json   prompt, checked positions, arg max of every prompt position, 200 greedy tokens
expected/NAME.f32    three blocks of little-endian f32, [positions][V] each: logits with the weights as they are stored
                     (what compute f32 must give); logits with the matrices rounded to bf16 (the centre for compute
                     bf16); the standard deviation of each of the latter under bf16 rounding, see bf16_sigma()

Run with Python 3.11, torch 2.15.0 (CPU, one thread), transformers 5.23.0, safetensors 0.8.0, gguf 0.19.0, numpy 2.4.6.
The expected files come from LlamaForCausalLM in fp32 with eager attention. A second forward in this file, written from
the equations in float64, must agree with it before anything is written; the same forward gives the bounds for compute
bf16.
"""
import json
import os
import shutil
import sys

import numpy as np
import torch
import transformers
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

import gguf_reference

FOLDER = os.path.dirname(os.path.abspath(__file__))
N_GREEDY = 200
# of the largest logit; the test's own tolerance is 1e-4, so a choice with a wider margin is a certain one
NEAR_TIE = 1e-3
TRIALS = 256

PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}


def shape(D, H, G, S, F, V, L, N, dtype, seed, **more):
    """D width, H heads, G key/value heads, S head size, F feed-forward width, V vocabulary, L layers, N prompt
    tokens."""
    return dict(D=D, H=H, G=G, S=S, F=F, V=V, L=L, N=N, dtype=dtype, seed=seed,
                **{"tied": False, "rope": PLAIN, "context": 512, "eps": 1e-5, **more})


MODELS = {
    # one key/value head for each query head; stored f32
    "mha-f32": shape(48, 4, 4, 12, 64, 131, 2, 40, "float32", 11),
    # no width a multiple of 32, one of them odd; two shards and an index
    "gqa2-odd-sharded-bf16": shape(60, 6, 3, 10, 93, 331, 2, 90, "bfloat16", 12, shard="100KB",
                                   rope={**PLAIN, "rope_theta": 500000.0}),
    # SmolLM2's head ratio; tied; f16
    "gqa3-tied-f16": shape(72, 9, 3, 8, 100, 259, 2, 120, "float16", 13, tied=True,
                           rope={**PLAIN, "rope_theta": 100000.0}),
    # explicit head_dim (H x S is not D); Llama 3.1 scaling with all three bands in use, well beyond the original
    # context
    "gqa4-llama3-bf16": shape(56, 8, 2, 16, 93, 131, 2, 200, "bfloat16", 14, rope=LLAMA3, context=1024),
    # multi-query attention; linear scaling beyond the original context; config.json in the form of the years before
    # 2025
    "mqa8-linear-tied-bf16": shape(64, 8, 1, 8, 96, 131, 2, 150, "bfloat16", 15, tied=True, rope=LINEAR,
                                   old_config=True),
    # a context over three spans of 512 keys
    "gqa2-long-bf16": shape(48, 4, 2, 12, 80, 131, 2, 1100, "bfloat16", 16, context=2048),
    # wide enough for four shards of the products that tensor parallelism would split; the last one of F is uneven
    "wide-bf16": shape(16, 16, 4, 256, 4100, 300, 1, 60, "bfloat16", 17),
    # the smallest and oddest: one head, odd widths, a vocabulary of 37; f32
    "one-head-odd-f32": shape(33, 1, 1, 34, 31, 37, 3, 70, "float32", 18),
    # eight query heads for each key/value head, heads of four; a norm's epsilon that shows
    "gqa8-bf16": shape(64, 16, 2, 4, 72, 131, 2, 80, "bfloat16", 19, eps=0.01),
    # GGUF: block formats, mixed as published files mix them; one with another epsilon, one with Llama 3.1 scaling as a
    # tensor of divisors
    "q4_0-tied.gguf": shape(64, 4, 2, 16, 96, 131, 2, 90, "Q4_0", 20, tied=True, embedding="Q8_0"),
    "q4_1.gguf": shape(64, 4, 1, 16, 96, 131, 2, 90, "Q4_1", 21, embedding="F16", head="Q8_0", eps=0.01),
    "q8_0-llama3.gguf": shape(64, 4, 4, 16, 96, 131, 2, 150, "Q8_0", 22, embedding="Q4_0", rope=LLAMA3),
    "k-mixed-tied.gguf": shape(256, 4, 2, 64, 256, 131, 1, 90, "Q4_K", 24, tied=True, embedding="Q6_K", v_proj="Q6_K",
                               down_proj="Q6_K", o_proj="Q5_K"),
    "f16-bf16-f32.gguf": shape(60, 6, 3, 10, 93, 131, 2, 90, "F16", 23, embedding="F32", head="BF16"),
}


def make_model(m, seed):
    """Random weights large enough that attention is sharp and logits are far apart, rounded to the stored format."""
    config = LlamaConfig(
        vocab_size=m["V"], hidden_size=m["D"], intermediate_size=m["F"], num_hidden_layers=m["L"],
        num_attention_heads=m["H"], num_key_value_heads=m["G"], head_dim=m["S"], max_position_embeddings=m["context"],
        rms_norm_eps=m["eps"], tie_word_embeddings=m["tied"], rope_parameters=dict(m["rope"]), bos_token_id=1,
        eos_token_id=2, attn_implementation="eager")
    model = LlamaForCausalLM(config).eval()
    model.packed = {}
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            values = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            if p.ndim == 1:
                values = 1 + 0.4 * values
            elif "embed_tokens" in name:
                values *= 0.25 if m["tied"] else 0.6
            else:
                values *= (1.0 if "lm_head" in name else 1.5) / p.shape[1] ** 0.5
            p.copy_(store(model, values, m, name))
    return model


def gguf_type(m, name):
    if "embed_tokens" in name:
        return m["embedding"]
    if "lm_head" in name:
        return m.get("head", m["dtype"])
    return m.get(name.split(".")[-2], m["dtype"])


def store(model, values, m, name):
    """The nearest values that the model's files can hold, as fp32; for GGUF model.packed keeps the stored rows."""
    if "embedding" not in m:
        return values.to(getattr(torch, m["dtype"])).to(torch.float32)
    if values.ndim == 1:
        return values.to(torch.float32)
    model.packed[name], values = gguf_reference.pack(values, gguf_type(m, name))
    return values


def weights_of(model, bf16_matrices):
    """Parameters as float64; with bf16_matrices every matrix element is the bf16 number that it stands for (norm
    gains stay f32)."""
    w = {}
    for name, p in model.state_dict().items():
        t = p.detach().to(torch.float32)
        w[name] = (t.to(torch.bfloat16) if bf16_matrices and t.ndim == 2 else t).to(torch.float64)
    if "lm_head.weight" not in w:
        w["lm_head.weight"] = w["model.embed_tokens.weight"]
    return w


def forward64(w, m, frequencies, ids, at_point):
    """Logits [T, V] in float64. at_point(x) is applied wherever compute bf16 rounds an activation: the normed inputs,
    rotated q and k, v, attention weights before their division by their sum, attention output, the product of gate
    and up, the last norm's output."""
    def norm(x, gain):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + m["eps"]) * gain

    def rotate(x):  # [T, heads, S], pairs (i, i + S/2)
        a, b = x[..., : m["S"] // 2], x[..., m["S"] // 2:]
        angle = (torch.arange(x.shape[0], dtype=torch.float64)[:, None] * frequencies.to(torch.float64))[:, None, :]
        c, s = torch.cos(angle), torch.sin(angle)
        return torch.cat((a * c - b * s, b * c + a * s), -1)

    T = len(ids)
    hidden_from = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
    x = w["model.embed_tokens.weight"][ids]
    for layer in range(m["L"]):
        at = lambda name: w[f"model.layers.{layer}.{name}.weight"]
        a = at_point(norm(x, at("input_layernorm")))
        q = at_point(rotate((a @ at("self_attn.q_proj").T).view(T, m["H"], m["S"])))
        k = at_point(rotate((a @ at("self_attn.k_proj").T).view(T, m["G"], m["S"])))
        v = at_point((a @ at("self_attn.v_proj").T).view(T, m["G"], m["S"]))
        k = k.repeat_interleave(m["H"] // m["G"], 1)
        v = v.repeat_interleave(m["H"] // m["G"], 1)
        scores = torch.einsum("ihs,jhs->hij", q, k) / m["S"] ** 0.5
        scores = scores.masked_fill(hidden_from, float("-inf"))
        p = torch.exp(scores - scores.max(-1, keepdim=True).values)
        total = p.sum(-1)
        o = torch.einsum("hij,jhs->ihs", at_point(p), v) / total.T[:, :, None]
        x = x + at_point(o).reshape(T, -1) @ at("self_attn.o_proj").T
        b = at_point(norm(x, at("post_attention_layernorm")))
        gate = b @ at("mlp.gate_proj").T
        h = at_point(gate * torch.sigmoid(gate) * (b @ at("mlp.up_proj").T))
        x = x + h @ at("mlp.down_proj").T
    return at_point(norm(x, w["model.norm.weight"])) @ w["lm_head.weight"].T


def dither(generator):
    """A uniformly distributed error of at most half a bf16 step (8 significant bits): rounding as a random
    disturbance. 0 and 1 (the weight of the key with the largest score) have none."""
    def at_point(x):
        exponent = torch.frexp(x).exponent  # x = f * 2^exponent, f in [1/2, 1): a step is 2^(exponent - 8)
        step = torch.ldexp(torch.ones_like(x), exponent - 8)
        return x + (torch.rand(x.shape, generator=generator, dtype=torch.float64) - 0.5) * step * ((x != 0) & (x != 1))
    return at_point


def bf16_sigma(w, m, frequencies, ids, positions, exact, trials):
    """The standard deviation of each checked logit when every rounding point of compute bf16 is disturbed by an
    independent uniform error of at most half a bf16 step. It is a property of the model and of the table of rounding
    points alone; no implementation was looked at. The test allows 6 of them for any logit and twice their root mean
    square for the root mean square over all checked logits."""
    generator = torch.Generator().manual_seed(m["seed"])
    total = torch.zeros_like(exact[positions])
    for _ in range(trials):
        d = forward64(w, m, frequencies, ids, dither(generator))[positions] - exact[positions]
        total += d * d
    return torch.sqrt(total / trials)


def greedy(model, prompt):
    """200 greedy tokens, and the smallest margin of a choice relative to the largest logit of its row."""
    cache, feed, out, smallest = DynamicCache(), torch.tensor([prompt]), [], float("inf")
    with torch.no_grad():
        for _ in range(N_GREEDY):
            row = model(feed, past_key_values=cache, use_cache=True).logits[0, -1]
            top = torch.topk(row, 2).values
            smallest = min(smallest, ((top[0] - top[1]) / row.abs().max()).item())
            if smallest < NEAR_TIE:
                return None, smallest
            out.append(int(row.argmax()))
            feed = torch.tensor([[out[-1]]])
    return out, smallest


def find_model(name, m):
    """The first seed whose greedy answer has no near tie and is not a short loop."""
    for seed in range(m["seed"] * 1000, m["seed"] * 1000 + 1000):
        model = make_model(m, seed)
        prompt = torch.randint(0, m["V"], (m["N"],), generator=torch.Generator().manual_seed(seed)).tolist()
        answer, margin = greedy(model, prompt)
        if answer is not None and len(set(answer[-100:])) >= min(24, m["V"] // 3):
            return seed, model, prompt, answer, margin
    raise SystemExit(f"{name}: no seed gives an answer without near ties")


def save_gguf(model, m, path):
    divisors = None
    if m["rope"] == LLAMA3:
        plain = 1.0 / m["rope"]["rope_theta"] ** (torch.arange(0, m["S"], 2, dtype=torch.float64) / m["S"])
        divisors = plain / model.model.rotary_emb.inv_freq.to(torch.float64)
    gguf_reference.write_model(model, path, lambda name: gguf_type(m, name), model.packed, divisors)
    again = gguf_reference.read_model(path, m["rope"]).state_dict()
    if not all(torch.equal(p, again[name]) for name, p in model.state_dict().items()):
        raise SystemExit(f"{path}: what was written is not what is read")


def save_model(model, m, path):
    if path.endswith(".gguf"):
        return save_gguf(model, m, path)
    shutil.rmtree(path, ignore_errors=True)
    model.to(getattr(torch, m["dtype"])).save_pretrained(path, max_shard_size=m.get("shard", "5GB"))
    generation = os.path.join(path, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    if m.get("old_config"):
        with open(os.path.join(path, "config.json")) as f:
            config = json.load(f)
        rope = config.pop("rope_parameters")
        config["rope_theta"] = rope["rope_theta"]
        config["rope_scaling"] = {"type": rope["rope_type"], "factor": rope["factor"]}
        config["torch_dtype"] = config.pop("dtype")
        config.pop("head_dim")
        with open(os.path.join(path, "config.json"), "w") as f:
            json.dump(config, f, indent=2)
            f.write("\n")


def read_model(path, m):
    if path.endswith(".gguf"):
        return gguf_reference.read_model(path, m["rope"])
    return LlamaForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def make(name, m):
    seed, model, prompt, answer, margin = find_model(name, m)
    path = os.path.join(FOLDER, "models", name)
    save_model(model, m, path)

    # What counts is what the library reads back from the files.
    model = read_model(path, m)
    frequencies = model.model.rotary_emb.inv_freq
    with torch.no_grad():
        logits = model(torch.tensor([prompt + answer])).logits[0]
    n = len(prompt)
    if logits[n - 1:-1].argmax(-1).tolist() != answer:
        raise SystemExit(f"{name}: one pass and token by token give other answers")
    exact = forward64(weights_of(model, False), m, frequencies, prompt, lambda x: x)
    off = ((exact - logits[:n]).abs().max() / exact.abs().max()).item()
    if off > 5e-5:  # half of what the test allows; most of it is the fp32 angle of a late position
        raise SystemExit(f"{name}: the float64 forward and transformers differ by {off}")

    w16 = weights_of(model, True)
    exact16 = forward64(w16, m, frequencies, prompt, lambda x: x)
    positions = sorted({p for p in (0, 1, 15, 31, 32, 63, 64, 65, 127, 511, 512, 513, 1023, 1024, n - 1) if p < n})
    sigma = bf16_sigma(w16, m, frequencies, prompt, positions, exact16, TRIALS if n < 1000 else TRIALS // 4)
    round_bf16 = lambda x: x.to(torch.float32).to(torch.bfloat16).to(torch.float64)
    rounded = forward64(w16, m, frequencies, prompt, round_bf16)
    error = (rounded - exact16)[positions]
    worst = (error.abs() / sigma).max().item()
    rms = torch.sqrt((error ** 2).mean() / (sigma ** 2).mean()).item()
    if worst > 6 or rms > 2:
        raise SystemExit(f"{name}: rounding itself leaves the bound: {worst} {rms}")

    top = torch.topk(logits[:n], 2).values
    clear = (top[:, 0] - top[:, 1]) / logits[:n].abs().max(-1).values > NEAR_TIE
    argmax = torch.where(clear, logits[:n].argmax(-1), -1).tolist()
    expected = {"seed": seed, "n_vocab": m["V"], "prompt": prompt, "positions": positions, "argmax": argmax,
                "greedy": answer}
    lines = (f" {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in expected.items())
    with open(os.path.join(FOLDER, "expected", name + ".json"), "w") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")
    blocks = [logits[positions].numpy(), exact16[positions].numpy(), sigma.numpy()]
    np.concatenate(blocks).astype("<f4").tofile(os.path.join(FOLDER, "expected", name + ".f32"))
    print(f"{name}: seed {seed}, largest logit {logits[:n].abs().max():.3g}, smallest greedy margin {margin:.2g}, "
          f"{len(set(answer))} different tokens, fp32 against float64 {off:.1e}, "
          f"bf16 sigma / largest logit {(sigma.mean() / exact16.abs().max()).item():.2e}, "
          f"rounded forward: worst {worst:.2f} sigma, rms {rms:.2f}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    os.makedirs(os.path.join(FOLDER, "expected"), exist_ok=True)
    for wanted in sys.argv[1:] or MODELS:
        make(wanted, MODELS[wanted])
