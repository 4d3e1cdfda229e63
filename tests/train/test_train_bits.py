"""The weights after N steps are the same bits, whatever the run was made on and whatever happened to it.

Fails where the number of threads, the instruction set, the micro-batch, recomputation or the way of saving reaches a
sum; where a checkpoint forgets a part of the state; where a resumed run skips or repeats a row; and where `verify`
agrees with a log that was changed.
"""

import json
import os
import random
import signal
import subprocess
import time
import unittest

import training

SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
STEPS = 40


def usable_masks():
    """Those that this machine runs: a run with another one says so and ends."""
    masks = []
    rows = training.rows_file("masks.jsonl", 4, 1)
    for mask in ["ref", "avx2", "avx512", "avx512bf16", "amx"]:
        if training.run(*training.arguments("mask-" + mask, rows, "--cpu-mask", mask, steps=1)).returncode == 0:
            masks.append(mask)
    return masks


class Bits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = training.rows_file("rows.jsonl", 200, 7)

    def train(self, out, *more, steps=STEPS, expect=0):
        result = training.run(*training.arguments(out, self.rows, *more, steps=steps))
        self.assertEqual(result.returncode, expect, result.stderr)
        return result

    def straight(self, name="straight", *more, steps=STEPS):
        if not os.path.isdir(os.path.join(training.FOLDER, name)):
            self.train(name, *more, steps=steps)
        return training.trace(name)

    def test_ways_to_compute(self):
        for dtype in ("f32", "bf16"):
            expected = self.straight("straight-" + dtype, "--dtype", dtype, "--leaves", "2", steps=12)
            ways = [["--threads", "1"], ["--threads", "2"], ["--threads", "3"], ["--micro-batch", "1"],
                    ["--micro-batch", "3"], ["--micro-batch", "4"], ["--recompute", "ffn"], ["--recompute", "all"],
                    ["--save-behind", "false", "--checkpoint-every", "7"]]
            ways += [["--cpu-mask", mask] for mask in usable_masks()]
            for i, way in enumerate(ways):
                out = f"way-{dtype}-{i}"
                self.train(out, "--dtype", dtype, "--leaves", "2", *way, steps=12)
                self.assertEqual(training.trace(out), expected, way)

    def test_killed_and_resumed(self):
        """Twenty runs, each killed (-9) at random moments until it is done: the logs are those of a straight run."""
        print("seed", SEED)
        numbers = random.Random(SEED)
        expected = self.straight()
        for i in range(20):
            out = f"killed-{i}"
            status = -signal.SIGKILL
            while status == -signal.SIGKILL:
                arguments = training.arguments(
                    out, self.rows, "--checkpoint-every", numbers.choice("135"), "--threads", numbers.choice("12"),
                    "--micro-batch", numbers.choice("1234"), steps=STEPS
                )
                status, said = training.kill_after(out, arguments, numbers.randint(1, 15), numbers.random() * 0.01)
                self.assertNotIn("refused", said)
            self.assertEqual(status, 0, said)
            self.assertEqual(training.trace(out), expected, f"run {i}, seed {SEED}")

    def test_signals(self):
        """SIGTERM and SIGUSR1 end the run with 0 behind a saved step; the same call then goes on to the same bits."""
        expected = self.straight()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            out = f"signal-{number}"
            arguments = training.arguments(out, self.rows, steps=STEPS)
            log = os.path.join(training.FOLDER, out, "log.jsonl")
            with subprocess.Popen(
                training.command(*arguments, "--checkpoint-every", "1"), stderr=subprocess.PIPE, text=True,
                stdout=subprocess.DEVNULL, env=training.ENVIRONMENT
            ) as process:
                while not (os.path.exists(log) and os.path.getsize(log)) and process.poll() is None:
                    time.sleep(0.002)
                process.send_signal(number)
                said = process.stderr.read()
                self.assertEqual(process.wait(), 0, said)
            done = training.steps(out)[-1]["step"]
            self.assertEqual(training.checkpoints(out)[-1], done)
            self.train(out, "--checkpoint-every", "1")
            self.assertEqual(training.trace(out), expected)

    def test_second_signal(self):
        """The second signal ends the process within a step; the last checkpoint verifies."""
        rows = training.rows_file("long.jsonl", 400, 5, lengths=(500, 500), n_ids=2000)
        out = os.path.join(training.FOLDER, "twice")
        arguments = ["train", "--preset", "1m", "--rows", rows, "--steps", "4", "--global-batch", "40", "--out", out,
                     "--checkpoint-every", "1", "--view", "off"]
        log = os.path.join(out, "log.jsonl")
        command = training.command(*arguments)
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=training.ENVIRONMENT) as process:
            while not (os.path.exists(log) and os.path.getsize(log)) and process.poll() is None:
                time.sleep(0.01)
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            process.communicate()
            self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertEqual(len(training.steps("twice")), 1)

    def test_checkpoints_are_of_their_step(self):
        """A checkpoint that is written beside later steps holds its own step's weights: the log has their digest."""
        self.train("behind", "--checkpoint-every", "1", "--keep", "64")
        for step in training.steps("behind"):
            path = os.path.join(training.checkpoint("behind", step["step"]), "manifest.json")
            with open(path, encoding="utf-8") as f:
                self.assertEqual(json.load(f)["weights"], step["weights_digest"])

    def test_more_steps(self):
        """A run of a constant schedule that is done goes on when more steps are asked for."""
        self.train("longer", steps=15)
        self.train("longer", steps=STEPS)
        self.assertEqual(training.trace("longer")[STEPS - 1], self.straight()[STEPS - 1])

    def test_verify(self):
        self.straight("proof", "--checkpoint-every", "10")
        for more in ([], ["--from", "30", "--threads", "1"], ["--cpu-mask", "ref", "--from", "35", "--to", "38"]):
            result = training.run("verify", os.path.join(training.FOLDER, "proof"), *more)
            self.assertEqual(result.returncode, 0, result.stderr)
        log = os.path.join(training.FOLDER, "proof/log.jsonl")
        with open(log, encoding="utf-8") as f:
            text = f.read()
        digest = training.steps("proof")[12]["weights_digest"]
        with open(log, "w", encoding="utf-8") as f:
            f.write(text.replace(digest, "0" * 64))
        result = training.run("verify", os.path.join(training.FOLDER, "proof"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("step 13 differs", result.stderr)

    def test_muon(self):
        """Muon's matrices have the same bits on any number of threads too."""
        expected = self.straight("muon", "--optimizer", "muon")
        self.train("muon-1", "--optimizer", "muon", "--threads", "1", "--cpu-mask", "avx2")
        self.assertEqual(training.trace("muon-1"), expected)


if __name__ == "__main__":
    unittest.main()
