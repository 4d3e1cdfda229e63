#!/usr/bin/env python3
"""Writes what PyTorch's AdamW makes of two tiny models in ten steps: losses, gradient norms, and the weights.

    python3 make_adamw.py

adamw/rows.jsonl          forty rows of ids, four of them a step
adamw/NAME.json           loss and gradient norm (before clipping) of each step
adamw/NAME.safetensors    the weights after the last step, f32

The models are those of tests/golden/models; the numbers that a step is made of stand below and in
test_train_reference.py. Run with Python 3.11, torch 2.15.0 (CPU, one thread), transformers 5.23.0, safetensors 0.8.0.
"""
import json
import os
import random

import torch
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["mha-f32", "gqa3-tied-f16"]
STEPS, ROWS_OF_STEP, N_IDS = 10, 4, 100


def make_rows():
    numbers = random.Random(20)
    return [[numbers.randrange(N_IDS) for _ in range(numbers.randint(20, 60))] for _ in range(STEPS * ROWS_OF_STEP)]


def train(name, rows):
    model = LlamaForCausalLM.from_pretrained(os.path.join(HERE, "../golden/models", name), dtype=torch.float32)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    steps = []
    for step in range(STEPS):
        optimizer.zero_grad()
        batch = rows[step * ROWS_OF_STEP : (step + 1) * ROWS_OF_STEP]
        n = sum(len(row) - 1 for row in batch)
        total = 0.0
        for row in batch:
            ids = torch.tensor([row])
            logits = model(ids).logits[0, :-1]
            loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")
            (loss / n).backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps.append({"loss": total / n, "grad_norm": norm.item()})
    with open(os.path.join(HERE, "adamw", name + ".json"), "w", encoding="utf-8") as f:
        json.dump(steps, f, indent=1)
    weights = {key: value.detach().clone() for key, value in model.named_parameters()}
    save_file(weights, os.path.join(HERE, "adamw", name + ".safetensors"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.makedirs(os.path.join(HERE, "adamw"), exist_ok=True)
    data = make_rows()
    with open(os.path.join(HERE, "adamw", "rows.jsonl"), "w", encoding="utf-8") as f:
        for ids in data:
            f.write(json.dumps({"ids": ids}) + "\n")
    for model_name in MODELS:
        train(model_name, data)
