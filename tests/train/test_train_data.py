"""From text to a model, through a data folder with two phases and held-out documents.

Fails where a phase's row length or rotation is lost, where a run that is stopped at the border of two phases goes on
otherwise, where an evaluation is missing or wrong, and where the finished model is not the one that was trained: its
own log-probabilities of a text must be those that `perplexity` gives for the last checkpoint.
"""

import json
import os
import re
import subprocess
import unittest

import training

SETTINGS = """
width: 64
layers: 2
heads: 4
kv-heads: 2
ff-width: 128
data: {data}
global-batch: 4
lr: 5e-3
schedule: wsd
warmup: 3
steps: 30
eval-every: 10
digest-every: 1
checkpoint-every: 5
view: 'off'
phases:
  - name: short
    seq-len: 64
    rows: 60
  - name: long
    seq-len: 128
    rope-base: 50000
    rows: 60
"""


class Data(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        text = os.path.join(training.FOLDER, "text.jsonl")
        with open(text, "w", encoding="utf-8") as f:
            for name in sorted(os.listdir(os.path.join(training.SOURCE, "src/train"))):
                with open(os.path.join(training.SOURCE, "src/train", name), encoding="utf-8") as source:
                    f.write(json.dumps({"text": source.read()}) + "\n")
        tok, cls.data = (os.path.join(training.FOLDER, name) for name in ("tok", "text-data"))
        for arguments in (["tokenizer", "train", text, "-n", "600", "-o", tok],
                          ["data", "build", "--source", text, "-m", tok, "--seq-len", "64,128", "--held-out", "0.3",
                           "--near-duplicates", "0", "-o", cls.data]):
            result = training.run(*arguments)
            assert result.returncode == 0, result.stderr
        cls.settings = os.path.join(training.FOLDER, "data-run.yaml")
        with open(cls.settings, "w", encoding="utf-8") as f:
            f.write(SETTINGS.format(data=cls.data))

    def train(self, out, *more):
        result = training.run("train", self.settings, "--out", os.path.join(training.FOLDER, out), *more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return training.trace(out)

    def test_run(self):
        whole = self.train("data-whole")
        log = training.steps("data-whole")
        self.assertEqual(len(whole), 30)
        self.assertLess(log[-1]["loss"], 0.9 * log[0]["loss"])
        evaluated = [s for s in log if "eval_bits_per_byte" in s]
        self.assertEqual([s["step"] for s in evaluated], [10, 20, 30])
        self.assertLess(evaluated[2]["eval_bits_per_byte"], evaluated[0]["eval_bits_per_byte"])
        self.assertLess(evaluated[2]["eval_bits_per_byte"], 8)
        # A run that ends at the border of the phases, and one that ends behind it, then go on.
        for stop in ("15", "17"):
            out = "data-" + stop
            self.train(out, "--steps", stop, "--decay-steps", "6", "--warmup", "3")
            result = training.run("train", self.settings, "--out", os.path.join(training.FOLDER, out))
            self.assertEqual(result.returncode, 2)  # the schedule is another one: another run
            self.assertIn("steps", result.stderr)
        out = os.path.join(training.FOLDER, "data-whole")
        result = training.run("verify", out, "--from", "15", "--threads", "1")
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(os.path.join(out, "model/config.json"), encoding="utf-8") as f:
            config = json.load(f)
        self.assertEqual(config["rope_theta"], 50000)
        self.assertEqual(config["max_position_embeddings"], 128)
        self.check_model(out)

    def check_model(self, out):
        answers = []
        for folder in ("model", "checkpoints/step-00000030"):
            result = training.run("perplexity", "-m", os.path.join(out, folder), "-p", "static cria_status", "--json")
            self.assertEqual(result.returncode, 0, result.stderr)
            answers.append(json.loads(result.stdout)["logprobs"])
        self.assertEqual(answers[0], answers[1])

    def test_interrupted_around_a_border(self):
        """A constant schedule may be given more steps, so a run can be stopped anywhere without a signal."""
        constant = ["--schedule", "constant"]
        whole = self.train("border", *constant)
        for stop in ("14", "15", "16"):
            out = "border-" + stop
            self.train(out, *constant, "--steps", stop)
            self.assertEqual(self.train(out, *constant), whole)

    @unittest.skipIf("ASAN_OPTIONS" in os.environ, "a sanitizer takes memory of its own")
    def test_memory_is_as_stated(self):
        """What a run says at its start is within 3 % of what it then had at most."""
        rows = training.rows_file("memory.jsonl", 8, 5, lengths=(512, 512), n_ids=8000)
        out = os.path.join(training.FOLDER, "memory")
        command = training.command("train", "--preset", "15m", "--rows", rows, "--steps", "2", "--global-batch", "4",
                                   "--checkpoint-every", "1", "--out", out, "--view", "off")
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=training.ENVIRONMENT) as process:
            said = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, said)
        stated = float(re.search(r"memory: ([0-9.]+) MiB", said).group(1)) * 2**20
        self.assertLess(abs(usage.ru_maxrss * 1024 - stated), 0.03 * stated)

    def test_changed_data(self):
        """Data of other bytes is another run, and a shard that was written since is refused by name."""
        self.train("changed", "--schedule", "constant", "--steps", "4")
        shard = os.path.join(self.data, "shard-00000.bin")
        with open(shard, "r+b") as f:
            byte = f.read(1)[0]
            f.seek(0)
            f.write(bytes([byte ^ 1]))
        try:
            result = training.run("train", self.settings, "--schedule", "constant", "--out",
                                  os.path.join(training.FOLDER, "changed"))
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("shard-00000.bin", result.stderr)
        finally:
            with open(shard, "r+b") as f:
                f.write(bytes([byte]))


if __name__ == "__main__":
    unittest.main()
