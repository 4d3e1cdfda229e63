"""What bench and doctor foretell of a run of Cria itself: memory against the resident memory of the run, and times
from a machine's file. Times as such are judged by bench/foretell on a quiet machine."""

import json
import os
import subprocess
import tempfile
import unittest

SOURCE, BUILD, CRIA = (os.environ[name] for name in ("CRIA_SOURCE_DIR", "CRIA_BUILD_DIR", "CRIA"))
MEMORY_LIMIT = 0.03
ROWS = (1, 2, 4, 8, 16, 32, 64, 256)


def machine(threads=1, types=("Q8_0", "BF16")):
    """A machine's file: a hundred million parameters a millisecond for each row."""
    lines = ["machine:", "  all:", "    name: a test", f"    threads: {threads}", "    memory_bytes: 1e10"]
    lines += ["    read_bytes_per_s: 1e10", "    product_flop_per_s: 1e11"]
    lines += [f"    {key}: 1e-12" for key in ("key_1_s", "key_n_s", "number_s")] + ["    operation_s: 1e-7"]
    for name in types:
        lines += [f"  {name}:"] + [f"    rows_{n}_s: {n * 1e-11:g}" for n in ROWS]
    return "\n".join(lines) + "\n"


class Foretold(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.models = {}
        for stored in ("bf16", "q8_0"):
            cls.models[stored] = os.path.join(BUILD, f"foretell-{stored}.gguf")
            make = os.path.join(SOURCE, "bench", "make_models")
            subprocess.run([make, cls.models[stored], "80m", stored], check=True)
            cls.addClassCleanup(os.unlink, cls.models[stored])

    def write_machine(self, text):
        os.makedirs(os.path.join(self.folder.name, "cria"), exist_ok=True)
        with open(os.path.join(self.folder.name, "cria", "machine.yaml"), "w", encoding="utf-8") as f:
            f.write(text)

    def run_cria(self, *arguments):
        environment = dict(os.environ, XDG_DATA_HOME=self.folder.name)
        done = subprocess.run([CRIA, *map(str, arguments)], capture_output=True, text=True, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def bench(self, stored, prompt=64, depth=0):
        return json.loads(
            self.run_cria("bench", self.models[stored], "--json", "--threads", 1, "--repeat", 1, "--prompt-tokens",
                          prompt, "--depth", depth, "-n", 4)
        )

    def test_memory(self):
        """Catches: a cache, activations or weights that are booked and not foretold, or the other way round."""
        for stored in self.models:
            for prompt, depth in ((64, 0), (1000, 0), (1000, 900)):
                row = self.bench(stored, prompt, depth)
                off = row["predicted"]["memory_bytes"] / row["resident_bytes"] - 1
                print(f"\n{stored} {prompt} {depth}: {100 * off:+.1f} %", end="")
                self.assertLessEqual(abs(off), MEMORY_LIMIT, (stored, prompt, depth))

    def test_times(self):
        """Catches: products counted with the wrong number of rows, or a head for every row of a prompt. On this
        machine's file a parameter takes 1e-11 s for each row, and everything else next to nothing."""
        self.write_machine(machine())
        config = json.loads(self.run_cria("inspect", self.models["q8_0"], "--json"))["config"]
        d, f, s = config["d_model"], config["d_ff"], config["head_size"]
        heads, kv_heads = config["n_heads"], config["n_kv_heads"]
        layers = config["n_layers"] * (2 * d * heads * s + 2 * d * kv_heads * s + 3 * d * f)
        head = d * config["n_vocab"]
        told = self.bench("q8_0")["predicted"]
        decode_s, prefill_s = 1 / told["decode_tokens_per_s"], 64 / told["prefill_tokens_per_s"]
        self.assertLess(abs(decode_s / (1e-11 * (layers + head)) - 1), 0.03)
        self.assertLess(abs(prefill_s / (1e-11 * (64 * layers + head)) - 1), 0.03)

    def test_what_is_missing(self):
        """Catches: a prediction from a machine that was measured otherwise, or silence about why there is none."""
        for text, word in ((machine(threads=7), "7 threads"), (machine(types=("BF16",)), "Q8_0"),
                           ("machine:\n  all:\n    spede: 3\n", "spede"), ("chips:\n", "machine")):
            self.write_machine(text)
            told = self.bench("q8_0")["predicted"]
            self.assertIsNone(told["decode_tokens_per_s"])
            self.assertIn(word, told["why"])
        self.write_machine(machine())

    def test_doctor(self):
        """Catches: a doctor that shows one of the two only."""
        page = self.run_cria("doctor", self.models["q8_0"])
        self.assertIn("predicted", page)
        self.assertIn("measured", page)


if __name__ == "__main__":
    unittest.main()
