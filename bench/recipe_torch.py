"""recipe_torch.py: the recipe of the speedrun in Cria and in PyTorch: the same first weights and rows, the same loss?

    PYTHON bench/recipe_torch.py [--steps N] [--batch ROWS] [--work FOLDER] [--threads T]

PYTHON has torch (2.9 or newer, for its Muon) and transformers; nothing else of Cria needs them. `make speedrun` has to
have run, for the text and the tokenizer. What happens:

 1. `cria tokenize` turns the books into ids; they are cut into rows of 512 ids, drawn by a fixed seed in the shares of
    the recipe, and written as lines {"ids": [...]}; Persuasion becomes the held-out rows. Both programs read these.
 2. `cria train --lr 0 --steps 1` writes the first weights; both programs begin with them.
 3. `cria train` with the options of recipes/speedrun.yaml, the number of steps and its schedule shortened.
 4. The same in PyTorch: transformers' Llama under bf16 autocast over f32 weights, torch.optim.Muon for the matrices of
    the layers, torch.optim.AdamW for the embedding and the norms, the learning rate of each step as Cria logged it.
 5. Held-out loss and losses of the last steps side by side.
"""
import argparse
import json
import math
import os
import random
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXT = os.path.join("build", "speedrun", "text")
NOVELS = ["emma", "mansfieldpark", "northangerabbey", "prideprejudice", "sensesensibility"]
SOURCES = [  # share of the rows, files
    (0.5, [os.path.join(TEXT, "austen", name + ".txt") for name in NOVELS]),
    (0.35, [os.path.join(TEXT, "treasury-of-david", "treasury-of-david.txt")]),
    (0.15, [os.path.join(TEXT, "world-english-bible", "world-english-bible.txt")]),
]
HELD_OUT = [os.path.join(TEXT, "austen", "persuasion.txt")]
LENGTH = 512


def cria(*arguments):
    done = subprocess.run([os.path.join(ROOT, "cria"), *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return done.stdout


def rows_of(paths):
    ids = []
    for path in paths:
        out = cria("tokenize", "-m", "build/speedrun/tokenizer/tokenizer.json", "-f", path, "--json")
        ids += json.loads(out)["ids"]
    return [ids[i : i + LENGTH] for i in range(0, len(ids) - LENGTH + 1, LENGTH)]


def write_rows(path, rows):
    with open(path, "w", encoding="ascii") as f:
        f.writelines(json.dumps({"ids": row}) + "\n" for row in rows)


def prepare(o):
    chance = random.Random(5)
    rows = []
    for share, paths in SOURCES:
        have = rows_of(paths)
        chance.shuffle(have)
        n = math.ceil(share * o.steps * o.batch)
        rows += (have * (n // len(have) + 1))[:n]
    chance.shuffle(rows)
    write_rows(os.path.join(o.work, "rows.jsonl"), rows[: o.steps * o.batch])
    write_rows(os.path.join(o.work, "held-out.jsonl"), rows_of(HELD_OUT))


def train_cria(o):
    rows = ["--rows", os.path.join(o.work, "rows.jsonl"), "--threads", str(o.threads), "--view", "off"]
    shape = ["--width", "256", "--layers", "4", "--heads", "4", "--kv-heads", "4", "--ff-width", "704"]
    shape += ["--context", str(LENGTH), "--vocab-size", "8192", "--seed", "1"]
    first, run = os.path.join(o.work, "first"), os.path.join(o.work, "cria")
    no_step = ["--steps", "1", "--lr", "0", "--schedule", "constant", "--global-batch", "1"]
    cria("train", *rows, *shape, *no_step, "-o", first)
    recipe = ["--optimizer", "muon", "--lr", str(o.lr), "--schedule", "wsd", "--warmup", str(o.steps // 20)]
    recipe += ["--decay-steps", str(2 * o.steps // 5), "--steps", str(o.steps), "--global-batch", str(o.batch)]
    held_out = ["--eval-rows", os.path.join(o.work, "held-out.jsonl")]
    cria("train", "--init", os.path.join(first, "model"), *rows, *held_out, *recipe, "-o", run)
    return os.path.join(first, "model"), run


def read_run(run):
    with open(os.path.join(run, "run.json"), encoding="utf-8") as f:
        options = json.load(f)["options"]
    with open(os.path.join(run, "log.jsonl"), encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    steps = [line for line in lines if "loss" in line]
    return options, steps, [line for line in lines if "eval_loss" in line][-1]["eval_loss"]


def read_rows(path):
    with open(path, encoding="ascii") as f:
        return torch.tensor([json.loads(line)["ids"] for line in f])


def loss_of(model, ids):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=ids, use_cache=False).logits
    return F.cross_entropy(logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten())


def optimizers(model, options):
    decay = float(options["weight-decay"])
    inner = [p for name, p in model.named_parameters() if p.dim() == 2 and "embed" not in name and "head" not in name]
    embedding = [model.get_input_embeddings().weight]
    norms = [p for p in model.parameters() if p.dim() == 1]
    muon = torch.optim.Muon(inner, weight_decay=decay, momentum=float(options["momentum"]), nesterov=True,
                            adjust_lr_fn="match_rms_adamw")
    groups = [{"params": embedding, "weight_decay": decay}, {"params": norms, "weight_decay": 0.0}]
    betas = (float(options["beta1"]), float(options["beta2"]))
    adamw = torch.optim.AdamW(groups, betas=betas, eps=float(options["eps"]))
    return muon, adamw


def train_torch(o, first, options, steps):
    torch.set_num_threads(o.threads)
    model = LlamaForCausalLM.from_pretrained(first, dtype=torch.float32)
    rows, both, losses = read_rows(os.path.join(o.work, "rows.jsonl")), optimizers(model, options), []
    for i, step in enumerate(steps):
        loss = loss_of(model, rows[i * o.batch : (i + 1) * o.batch])
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), float(options["clip"]))
        for optimizer in both:
            for group in optimizer.param_groups:
                group["lr"] = step["lr"]
            optimizer.step()
        losses.append(loss.item())
        if i % 20 == 0:
            print(f"step {i + 1}: Cria {step['loss']:.4f}, PyTorch {losses[-1]:.4f}", file=sys.stderr, flush=True)
    held_out = read_rows(os.path.join(o.work, "held-out.jsonl"))
    with torch.no_grad():
        total = sum(loss_of(model, part).item() * len(part) for part in held_out.split(8))
    return losses, total / len(held_out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.006)
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "recipe"))
    parser.add_argument("--threads", type=int, default=2)
    o = parser.parse_args()
    o.work = os.path.abspath(o.work)
    os.makedirs(o.work, exist_ok=True)
    prepare(o)
    first, run = train_cria(o)
    options, steps, cria_held_out = read_run(run)
    began = time.process_time()
    losses, torch_held_out = train_torch(o, first, options, steps)
    last = max(1, len(steps) // 10)
    print(json.dumps({
        "steps": o.steps, "tokens": o.steps * o.batch * LENGTH, "torch": torch.__version__,
        "cria_last_losses": sum(step["loss"] for step in steps[-last:]) / last,
        "torch_last_losses": sum(losses[-last:]) / last,
        "cria_held_out": cria_held_out, "torch_held_out": torch_held_out,
        "difference": cria_held_out / torch_held_out - 1, "torch_processor_seconds": time.process_time() - began}))


if __name__ == "__main__":
    main()
