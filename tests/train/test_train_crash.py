"""Nothing is lost: kill -9 during two hundred saves, a disk that is full, checkpoints that were damaged.

Fails where a kill leaves a checkpoint that does not verify or a run that does not go on, where a full disk takes the
last good state with it, and where a damaged byte is used, or is refused without saying where it lies.
"""

import os
import random
import resource
import shutil
import unittest

import training

SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
KILLS = 200


class Crash(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = training.rows_file("crash.jsonl", 1700, 3, lengths=(8, 12))
        print("seed", SEED)

    def arguments(self, out, *more, steps):
        return training.arguments(out, self.rows, "--checkpoint-every", "1", "--threads", "1", *more, steps=steps)

    def test_two_hundred_kills(self):
        """A run that saves after every step, killed at random moments: what stands under a checkpoint's name is whole
        each time, and the run goes on from it. Its end is that of a run nobody touched."""
        numbers = random.Random(SEED)
        kills = 0
        while kills < KILLS:
            arguments = self.arguments("kills", steps=400)
            status, said = training.kill_after("kills", arguments, numbers.randint(1, 3), numbers.random() * 0.01)
            self.assertNotIn("refused", said)
            if status == 0:
                shutil.rmtree(os.path.join(training.FOLDER, "kills"))
                continue
            self.assertEqual(status, -9, said)
            kills += 1
        result = training.run(*self.arguments("kills", steps=400))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("refused", result.stderr)
        leftovers = [n for n in os.listdir(os.path.join(training.FOLDER, "kills/checkpoints")) if n.startswith(".")]
        self.assertEqual(leftovers, [])
        whole = training.run(*training.arguments("whole", self.rows, "--checkpoint-every", "0", steps=400))
        self.assertEqual(whole.returncode, 0, whole.stderr)
        self.assertEqual(training.trace("kills"), training.trace("whole"))

    def test_full_disk(self):
        """Files may not grow beyond a limit, so every save fails: the run says so, ends with 1, and what was saved
        before stays and is used."""
        result = training.run(*self.arguments("full", steps=3))
        self.assertEqual(result.returncode, 0, result.stderr)
        before = training.checkpoints("full")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))

        result = training.run(*self.arguments("full", steps=6), preexec_fn=limit)
        self.assertEqual(result.returncode, 1)
        self.assertIn("File too large", result.stderr)
        self.assertIn("not saved", result.stderr)
        self.assertEqual(training.checkpoints("full"), before)
        result = training.run(*self.arguments("full", steps=6))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("resumed at step 3", result.stderr)

    def test_damaged(self):
        """The newest checkpoint is refused by name and the one before is used; the run ends in the same weights."""
        damages = {
            "model.safetensors": lambda p: flip(p, os.path.getsize(p) - 5),
            "optimizer.safetensors": lambda p: flip(p, os.path.getsize(p) // 2),
            "state.json": lambda p: flip(p, 3),
            "manifest.json": lambda p: flip(p, 20),
            "config.json": os.remove,
            "generation_config.json": lambda p: os.truncate(p, 1),
        }
        expected = None
        for name, damage in damages.items():
            out = "damaged-" + name
            result = training.run(*self.arguments(out, steps=4))
            self.assertEqual(result.returncode, 0, result.stderr)
            damage(os.path.join(training.checkpoint(out, 4), name))
            result = training.run(*self.arguments(out, steps=6))
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("step 4 refused", result.stderr)
            self.assertIn(name, result.stderr)
            self.assertIn("resumed at step 3", result.stderr)
            if name == "model.safetensors":
                self.assertIn('"lm_head.weight"', result.stderr)
            expected = expected or training.trace(out)
            self.assertEqual(training.trace(out), expected)

    def test_of_another_run(self):
        """A checkpoint that another run left under this run's name is refused, and the start is used."""
        self.assertEqual(training.run(*self.arguments("mine", steps=2)).returncode, 0)
        self.assertEqual(training.run(*self.arguments("theirs", "--lr", "2e-3", steps=9)).returncode, 2)
        theirs = [a if a != "1e-3" else "2e-3" for a in self.arguments("theirs", steps=9)]
        self.assertEqual(training.run(*theirs).returncode, 0)
        os.rename(training.checkpoint("theirs", 9), training.checkpoint("mine", 9))
        result = training.run(*self.arguments("mine", steps=12))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("step 9 refused", result.stderr)
        self.assertIn("another run", result.stderr)
        self.assertIn("resumed at step 2", result.stderr)


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 4]))


if __name__ == "__main__":
    unittest.main()
