"""train_torch.py: the peer of bench/compare_train: a plain Llama in PyTorch, as its users write one today.

    PYTHON bench/train_torch.py SHAPE.json --rows N --length L --steps S [--threads T] [--no-compile] [--f32]

SHAPE.json holds d_model, n_layers, n_heads, n_kv_heads, d_ff, n_vocab and tied. Random weights and tokens; bf16
autocast over fp32 weights, torch.compile, fused AdamW, the library's own attention. Prints one JSON object: seconds of
each step, the first ones (which compile) left out. It runs in an environment of its own that has torch; nothing else
here needs it.
"""
import argparse
import json
import time

import torch
import torch.nn.functional as F
from torch import nn


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.gain, 1e-5)


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.heads, self.groups, self.size = s["n_heads"], s["n_kv_heads"], s["d_model"] // s["n_heads"]
        d, f = s["d_model"], s["d_ff"]
        self.norm1, self.norm2 = Norm(d), Norm(d)
        self.q = nn.Linear(d, self.heads * self.size, bias=False)
        self.k = nn.Linear(d, self.groups * self.size, bias=False)
        self.v = nn.Linear(d, self.groups * self.size, bias=False)
        self.o = nn.Linear(self.heads * self.size, d, bias=False)
        self.gate, self.up = nn.Linear(d, f, bias=False), nn.Linear(d, f, bias=False)
        self.down = nn.Linear(f, d, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        a = self.norm1(x)
        q = self.q(a).view(b, t, self.heads, self.size).transpose(1, 2)
        k = self.k(a).view(b, t, self.groups, self.size).transpose(1, 2)
        v = self.v(a).view(b, t, self.groups, self.size).transpose(1, 2)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.groups)
        x = x + self.o(o.transpose(1, 2).reshape(b, t, -1))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self, s, length):
        super().__init__()
        self.embedding = nn.Embedding(s["n_vocab"], s["d_model"])
        self.blocks = nn.ModuleList(Block(s) for _ in range(s["n_layers"]))
        self.norm = Norm(s["d_model"])
        self.head = nn.Linear(s["d_model"], s["n_vocab"], bias=False)
        if s["tied"]:
            self.head.weight = self.embedding.weight
        half = s["d_model"] // s["n_heads"] // 2
        angles = torch.outer(torch.arange(length).float(), 1e4 ** (-torch.arange(half).float() / half))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, targets):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.float().view(-1, logits.shape[-1]), targets.reshape(-1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shape")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--micro", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--f32", action="store_true")
    o = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(o.threads)
    with open(o.shape) as f:
        shape = json.load(f)
    model = Llama(shape, o.length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    step_model = model if o.no_compile else torch.compile(model)
    ids = torch.randint(shape["n_vocab"], (o.rows, o.length + 1))
    seconds = []
    for step in range(o.steps + 2):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        for i in range(0, o.rows, o.micro):
            part = ids[i : i + o.micro]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not o.f32):
                loss = step_model(part[:, :-1], part[:, 1:]) * (len(part) / o.rows)
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step >= 2:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "tokens": o.rows * o.length, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
