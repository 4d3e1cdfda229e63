"""What is wrong with a run is said before its first step, with the numbers; bad steps are dealt with as was asked.

Fails where a mistake is taken silently, costs a step before it is found, or is told without naming the option or the
number; and where a jump of the loss is skipped or gone back from otherwise than the log says.
"""

import json
import os
import shutil
import struct
import subprocess
import time
import unittest

import training


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = training.rows_file("refusals.jsonl", 40, 3)

    def refuse(self, *arguments, code=None):
        """The message of a run that has to fail; no step may be in its log."""
        result = training.run("train", *arguments)
        self.assertIn(result.returncode, [code] if code else [1, 2])
        self.assertEqual(result.stdout, "")
        return result.stderr

    def small(self, out, *more):
        return training.arguments(out, self.rows, *more, steps=5)[1:]

    def test_options(self):
        out = os.path.join(training.FOLDER, "refused")
        shape = ["--width", "64", "--layers", "2", "--ff-width", "128", "--vocab-size", "131"]
        cases = [
            ([], "where to?"),
            (["--out", out], "which data?"),
            (["--rows", self.rows, "--out", out], "--vocab-size is missing"),
            (["--rows", self.rows, "--vocab-size", "131", "--out", out], "--width is missing"),
            (["--rows", self.rows, "--preset", "5n", "--vocab-size", "131", "--out", out], "there is 1m, 5m"),
            (["--rows", self.rows, *shape, "--heads", "7", "--out", out], "--width 64 is no multiple of --heads 7"),
            (["--rows", self.rows, *shape, "--heads", "4", "--kv-heads", "3", "--out", out], "3"),
            (["--rows", self.rows, "--init", training.MODEL, "--heads", "4", "--out", out], "--heads beside --init"),
            (["--rows", self.rows, "--init", training.MODEL], "--out"),
            (self.small("refused", "--global-batch", "5", "--leaves", "2"), "given twice"),
            (self.small("refused", "--leaves", "3"), "power of two"),
            (self.small("refused", "--leaves", "8"), "do not divide"),
            (self.small("refused", "--warmup", "9", "--min-lr", "5"), "5"),
            (self.small("refused", "--batch-ramp", "8@"), "ROWS@STEP"),
            (self.small("refused", "--batch-ramp", "99@3"), "rows used up: step 3"),
            (self.small("refused", "--data", "x"), "Either --data"),
            (self.small("refused", "--seq-len", "64"), "--seq-len chooses"),
            (self.small("refused", "--eval-rows", "nowhere.jsonl"), "nowhere.jsonl"),
            (["--init", training.MODEL, "--rows", "nowhere.jsonl", "--out", out], "nowhere.jsonl"),
            (["--init", "nowhere", "--rows", self.rows, "--out", out], "nowhere"),
        ]
        for arguments, message in cases:
            said = self.refuse(*arguments)
            self.assertIn(message, said, arguments)
            self.assertFalse(os.path.exists(os.path.join(out, "log.jsonl")), arguments)

    def test_rows_used_up(self):
        said = self.refuse(*training.arguments("used-up", self.rows, steps=11)[1:])
        self.assertIn("step 11 of 11 needs row 44, and the data has 40", said)

    def test_ids_outside_the_vocabulary(self):
        path = training.rows_file("outside.jsonl", 8, 1, n_ids=1000)
        said = self.refuse(*training.arguments("outside", path, steps=1)[1:])
        self.assertIn("outside.jsonl", said)

    def test_too_long_a_row(self):
        path = training.rows_file("too-long.jsonl", 8, 1, lengths=(600, 600))
        said = self.refuse(*training.arguments("too-long", path, steps=1)[1:])
        self.assertIn("512", said)

    def test_memory(self):
        """A model that no machine holds is refused with every number before anything of it is allocated."""
        start = time.monotonic()
        said = self.refuse("--preset", "405b", "--rows", self.rows, "--steps", "1", "--out",
                           os.path.join(training.FOLDER, "huge"), code=1)
        self.assertIn("the run needs", said)
        self.assertIn("GiB: weights", said)
        self.assertLess(time.monotonic() - start, 20)

    def test_yaml(self):
        path = os.path.join(training.FOLDER, "run.yaml")
        cases = [
            ("lerning-rate: 1\n", 'unknown key "lerning-rate"'),
            ("stepz: 1\n", 'did you mean "steps"?'),
            ("lr: fast\n", "line 1: --lr"),
            ("lr: 1\nlr: 2\n", "line 2"),
            ("steps: [1\n", "run.yaml"),
            ("phases:\n  - length: 5\n", "phases[0]"),
        ]
        for text, message in cases:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            self.assertIn(message, self.refuse(path, "--out", os.path.join(training.FOLDER, "yaml")), text)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"init: {training.MODEL}\nrows: {self.rows}\nsteps: 3\nglobal_batch: 2\nlr: 1e-4\nview: 'off'\n")
        out = os.path.join(training.FOLDER, "from-yaml")
        result = training.run("train", path, "--out", out, "--lr", "5e-4", "--schedule", "constant")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([s["lr"] for s in training.steps("from-yaml")], [5e-4] * 3)

    def test_another_run_in_the_folder(self):
        self.assertEqual(training.run("train", *self.small("taken")).returncode, 0)
        said = self.refuse(*self.small("taken", "--beta1", "0.5"), code=2)
        self.assertIn("its beta1 is 0.9, and 0.5 here", said)

    def test_two_at_once(self):
        arguments = training.arguments("twice", self.rows, "--checkpoint-every", "1", steps=10)
        with subprocess.Popen(training.command(*arguments), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              env=training.ENVIRONMENT) as first:
            os.kill(first.pid, 19)  # SIGSTOP
            os.kill(first.pid, 18)
            first.communicate()
        result = training.run(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_dry_run(self):
        """The plan is told and nothing is written."""
        out = os.path.join(training.FOLDER, "dry")
        result = training.run("train", *self.small("dry", "--dry-run"))
        self.assertEqual(result.returncode, 0, result.stderr)
        for word in ("master weights", "optimizer", "together", "a step:", "time: about"):
            self.assertIn(word, result.stdout)
        self.assertFalse(os.path.exists(out))


class BadSteps(unittest.TestCase):
    """Rows that repeat one pattern, and at step 60 rows that contradict it: the loss jumps there."""

    @classmethod
    def setUpClass(cls):
        cls.rows = os.path.join(training.FOLDER, "spike.jsonl")
        plain, bad = {"ids": list(range(10, 40))}, {"ids": [99, 3, 98, 5] * 7}
        with open(cls.rows, "w", encoding="utf-8") as f:
            for i in range(4 * 120):
                f.write(json.dumps(bad if i // 4 == 59 else plain) + "\n")

    def arguments(self, out, *more, steps=80):
        arguments = training.arguments(
            out, self.rows, "--checkpoint-every", "20", "--spike", "4", *more, steps=steps)
        return [a if a != "1e-3" else "1e-2" for a in arguments]

    def train(self, out, *more, code=0):
        result = training.run(*self.arguments(out, *more))
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stderr

    def test_warn(self):
        said = self.train("warn")
        self.assertIn("step 60: the loss jumped", said)
        self.assertEqual([s["step"] for s in training.steps("warn") if "jump" in s], [60])

    def test_stop(self):
        said = self.train("stop", "--on-spike", "stop", code=1)
        self.assertIn("nothing was updated", said)
        self.assertEqual(training.steps("stop")[-1]["step"], 59)

    def test_skip(self):
        self.train("skip", "--on-spike", "skip")
        step = training.steps("skip")[59]
        self.assertIn("jumped", step["skipped"])
        self.assertEqual(step["weights_digest"], training.steps("skip")[58]["weights_digest"])
        self.assertEqual(training.run("verify", os.path.join(training.FOLDER, "skip")).returncode, 0)

    def test_rewind(self):
        said = self.train("rewind", "--on-spike", "rewind")
        self.assertIn("going back", said)
        rewound = [s for s in training.steps("rewind") if "rewound_from" in s]
        self.assertEqual([(s["step"], s["rewound_from"], s["row"]) for s in rewound], [(41, 60, 240)])
        self.assertEqual([s["step"] for s in training.steps("rewind")], list(range(1, 81)))
        result = training.run("verify", os.path.join(training.FOLDER, "rewind"))
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_rewind_interrupted(self):
        """Stopped and gone on with around the rewind, a run ends in the same weights."""
        self.train("rewind-whole", "--on-spike", "rewind")
        for stop in (50, 70):
            out = f"rewind-{stop}"
            for steps in (stop, 80):
                result = training.run(*self.arguments(out, "--on-spike", "rewind", steps=steps))
                self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(training.trace(out), training.trace("rewind-whole"))

    def broken_model(self):
        """The tiny model with a head so large that every logit overflows."""
        folder = os.path.join(training.FOLDER, "overflow")
        if os.path.isdir(folder):
            return folder
        shutil.copytree(training.MODEL, folder)
        path = os.path.join(folder, "model.safetensors")
        with open(path, "r+b") as f:
            (n,) = struct.unpack("<Q", f.read(8))
            begin, end = json.loads(f.read(n))["lm_head.weight"]["data_offsets"]
            f.seek(8 + n + begin)
            f.write(struct.pack("<f", 3e38) * ((end - begin) // 4))
        return folder

    def test_numbers_that_are_not_finite(self):
        """Stopped at the step that shows it, before the update and without a checkpoint; or skipped, step by step."""
        for action, code in (("stop", 1), ("skip", 0)):
            out = "nan-" + action
            arguments = [a if a != training.MODEL else self.broken_model() for a in self.arguments(
                out, "--on-nan", action, "--checkpoint-every", "1", steps=5)]
            arguments.remove("--checkpoint-every")
            arguments.remove("20")
            result = training.run(*arguments)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn("step 1: the loss is not finite", result.stderr)
            if action == "stop":
                self.assertEqual(training.checkpoints(out), [])
                self.assertEqual(training.steps(out), [])
            else:
                steps = training.steps(out)
                self.assertEqual([s["loss"] for s in steps], [None] * 5)
                self.assertEqual(len({s["weights_digest"] for s in steps}), 1)


if __name__ == "__main__":
    unittest.main()
