#!/usr/bin/env python3
"""Writes smollm2/: what transformers computes in fp32 with the dequantised weights of SmolLM2-135M-Instruct.

    python3 make_smollm2.py SmolLM2-135M-Instruct.Q4_1.gguf

smollm2/reference.json  `ids`: 500 tokens of the text below; `chats`: prompts, greedy answers (to the end mark or 48
                        tokens), the smallest margin of a choice
smollm2/reference.bin   for each of the 500 positions, little-endian: f32 log-sum-exp, f32 largest magnitude of the
                        49,152 logits, 32 u16 ids of the largest logits and their 32 f32 logits, 16 u16 ids at random
                        and their 16 f32 logits: 296 bytes

Run with Python 3.11, torch 2.15.0 (CPU), transformers 5.23.0, tokenizers 0.23.3, gguf 0.19.0, numpy 2.4.6. The model
comes from gguf_reference.py; the ids of the text and of the chats come from the vocabulary and merges in the file,
through the tokenizers library.
"""
import json
import os
import sys

import numpy as np
import torch
import transformers
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import DynamicCache

from gguf_reference import read_field, read_model

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "smollm2")
N_TOKENS, N_TOP, N_RANDOM, N_GREEDY, EOS = 500, 32, 16, 48, 2

TEXT = """The ferry left the island at seven, an hour late, because the captain's dog had hidden under the bench of the
ticket office and would not come out. Nobody complained. The passengers, eleven of them, two bicycles and a
crate of lemons stood on the quay and looked at the sea, which had gone flat and grey like a plate that
somebody forgot to wash.

"It happens every Thursday," said the woman with the crate. "He knows that on Thursdays we carry lemons. He
hates lemons."

In the year 1887 the same crossing took 3 hours and 40 minutes; today it takes 55. A ticket costs $12.50, or
$9 for residents, and children under 6 travel free. If you need to know more, write to the harbour office
(harbour@example.org) or read the notice on the wall:

1. Bicycles stay on deck.
2. Dogs on a lead, except the captain's.
3. In fog the ship sounds one long blast every two minutes.

def crossing_minutes(miles, knots):
    \"\"\"Time under way, without the minutes for mooring.\"\"\"
    if knots <= 0:
        raise ValueError("a ship that does not move never arrives")
    return 60.0 * miles / knots

Physics tells us why the sea looks grey under clouds: water has hardly any colour of its own at this depth, so
it gives back what the sky sends down. When the sun breaks through, the short waves of light are scattered
more than the long ones, and the surface turns blue within a few seconds. Sailors call such a moment a window.
The captain, who had read a little about optics when he was young, used to explain this to anybody who would
listen, and in forty years he had found perhaps three listeners.

Am Abend kam der Wind aus Westen, und das kleine Schiff fuhr langsam nach Hause. Les enfants dormaient déjà.
"¿Hemos llegado?" asked one of them, half awake. Not yet, said her father; look, there is the lighthouse: one
flash, a pause, two flashes, and then it is dark for nine seconds. Count with me. One, two, three, four, five,
six, seven, eight, nine.

And there it was again.
"""

CHATS = [
    "What is the capital of France?",
    "Who wrote Romeo and Juliet?",
    "Write a short poem about a lighthouse.",
    "Explain what a prime number is.",
    "Translate 'good morning' into French.",
    "What is photosynthesis?",
    "List three fruits that are yellow.",
    "How many days are in a week? Answer with a number.",
]
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def make_tokenizer(reader):
    tokens = read_field(reader, "tokenizer.ggml.tokens")
    types = read_field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in read_field(reader, "tokenizer.ggml.merges")]
    t = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, types) if kind == 3]
    t.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return t


def chat_ids(tokenizer, text):
    prompt = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    return tokenizer.encode(prompt).ids


def greedy(model, prompt):
    cache, feed, out, smallest = DynamicCache(), torch.tensor([prompt]), [], float("inf")
    with torch.no_grad():
        for _ in range(N_GREEDY):
            row = model(feed, past_key_values=cache, use_cache=True).logits[0, -1]
            top = torch.topk(row, 2).values
            smallest = min(smallest, ((top[0] - top[1]) / row.abs().max()).item())
            out.append(int(row.argmax()))
            if out[-1] == EOS:
                break
            feed = torch.tensor([[out[-1]]])
    return out, smallest


def write_positions(logits, path):
    rng = np.random.Generator(np.random.PCG64(20261121))
    with open(path, "wb") as f:
        for row in logits:
            top = torch.topk(row, N_TOP)
            random = np.sort(rng.choice(row.shape[0], N_RANDOM, replace=False))
            np.array([torch.logsumexp(row.double(), 0).item(), row.abs().max().item()], "<f4").tofile(f)
            top.indices.numpy().astype("<u2").tofile(f)
            top.values.numpy().astype("<f4").tofile(f)
            random.astype("<u2").tofile(f)
            row.numpy()[random].astype("<f4").tofile(f)


def main():
    transformers.logging.set_verbosity_error()
    tokenizer, model = make_tokenizer(GGUFReader(sys.argv[1])), read_model(sys.argv[1])
    ids = tokenizer.encode(TEXT).ids
    if len(ids) < N_TOKENS:
        raise SystemExit(f"the text has {len(ids)} tokens, not {N_TOKENS}")
    ids = ids[:N_TOKENS]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    nll = torch.nn.functional.cross_entropy(logits[:-1].double(), torch.tensor(ids[1:])).item()
    write_positions(logits, os.path.join(FOLDER, "reference.bin"))
    reference = {"source": "SmolLM2-135M-Instruct (Apache-2.0), Q4_1 GGUF, dequantised, transformers fp32",
                 "n_vocab": logits.shape[1], "ids": ids, "nll": nll, "chats": []}
    for text in CHATS:
        prompt = chat_ids(tokenizer, text)
        answer, margin = greedy(model, prompt)
        if margin < 1e-3:
            raise SystemExit(f"{text}: a choice by a margin of {margin} is no reference; ask something else")
        print(f"{margin:.2e} {tokenizer.decode(answer)!r}")
        reference["chats"].append({"text": text, "prompt": prompt, "answer": answer, "margin": float(f"{margin:.3g}")})
    with open(os.path.join(FOLDER, "reference.json"), "w") as f:
        json.dump(reference, f, separators=(",", ":"), indent=None)
        f.write("\n")
    print(f"nll {nll:.6f}, perplexity {np.exp(nll):.4f}")


if __name__ == "__main__":
    main()
