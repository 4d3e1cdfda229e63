"""The sweep through the built program: every line of a batch is what the line alone gives, whatever the options.

bits_test.c compares the library's ways; here the options have to reach it: --cpu-mask, --threads, --prefill-chunk,
--jsonl with --batch, --no-prefix-cache, in generate and in perplexity. `digest` is the SHA-256 of the logits, so equal
digests are equal to the last bit. Catches an option that is ignored or that changes a result.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

CRIA = os.environ.get("CRIA", "./cria")
MODELS = os.path.join(os.environ.get("CRIA_SOURCE_DIR", "."), "tests/golden/models")
MASKS = ["ref", "avx2", "avx512", "avx512bf16", "amx"]
THREADS = [1, 2, 3, 5]
BATCHES = [1, 2, 8, 64]
CHUNKS = [1, 7, 32, 100, 100000]
SEED = 3

# name, ids below this, most tokens of prompt and answer
PROBLEMS = [("gqa4-llama3-bf16", 100, 90), ("q4_0-tied.gguf", 60, 60), ("mha-f32", 100, 90)]


def run(arguments):
    done = subprocess.run([CRIA] + arguments, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"cria {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]


def result(answer):
    """What may not change: everything but the times and what came from the cache."""
    kept = ("prompt_tokens", "tokens", "logprobs", "finish_reason", "digest", "arithmetic", "nll", "perplexity", "top")
    return {key: answer[key] for key in kept if key in answer}


def usable_masks():
    """Those that this machine has; the others are refused by name, which doctor says."""
    kernels = run(["doctor", "--json"])[0]["kernels"]
    for mask in MASKS:
        if "refused" in kernels[mask]:
            print(f"not compared here: {mask} ({kernels[mask]})", file=sys.stderr)
    return [mask for mask in MASKS if "refused" not in kernels[mask]]


def prompts(n_ids, most, rng):
    shared = [rng.randrange(n_ids) for _ in range(most)]
    lines = []
    for i in range(12):
        n = rng.randrange(1, most - 10)
        own = [rng.randrange(n_ids) for _ in range(most)]
        k = rng.choice([0, 33, most]) if i % 2 else 0
        lines.append((shared[:k] + own[k:])[:n])
    return lines


def ways(masks, rng):
    """Each value of each option several times, with every other option changing."""
    rows = []
    for i in range(15):
        row = ["--cpu-mask", masks[i % len(masks)], "--threads", str(THREADS[(i + i // 4) % 4]),
               "--batch", str(BATCHES[(i // 2) % 4]), "--prefill-chunk", str(CHUNKS[(i + i // 5) % 5])]
        rows.append(row + (["--no-prefix-cache"] if rng.randrange(2) else []))
    return rows


class ProgramBits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.masks = usable_masks()

    def sweep(self, command, extra, lines, model):
        alone = []
        for ids in lines:
            arguments = [command, "-m", model, "--ids", ",".join(map(str, ids)), "--json", "--cpu-mask", "ref",
                         "--threads", "1", "--prefill-chunk", "100000"]
            alone.append(result(run(arguments + extra)[0]))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "lines.jsonl")
            with open(path, "w", encoding="ascii") as f:
                f.writelines(json.dumps({"ids": ids}) + "\n" for ids in lines)
            n_ways = 0
            for way in ways(self.masks, random.Random(SEED)):
                answers = run([command, "-m", model, "--jsonl", path, "--json"] + way + extra)
                self.assertEqual(len(answers), len(lines), way)
                for i, answer in enumerate(answers):
                    self.assertEqual(result(answer), alone[i], f"{model}, line {i}, {' '.join(way)} (seed {SEED})")
                n_ways += 1
        print(f"{command} {os.path.basename(model)}: {len(lines)} lines, {n_ways} ways, one digest for each line",
              file=sys.stderr)

    def test_generate(self):
        for name, n_ids, most in PROBLEMS:
            lines = prompts(n_ids, most, random.Random(SEED))
            sampled = ["-n", "6", "--temperature", "0.8", "--top-p", "0.9", "--seed", "5", "--ignore-eos"]
            self.sweep("generate", sampled, lines, os.path.join(MODELS, name))

    def test_perplexity(self):
        for name, n_ids, most in PROBLEMS:
            lines = [ids for ids in prompts(n_ids, most, random.Random(SEED + 1)) if len(ids) > 1]
            self.sweep("perplexity", ["--top", "2"], lines, os.path.join(MODELS, name))


if __name__ == "__main__":
    unittest.main()
