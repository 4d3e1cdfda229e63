"""The planner on the past: `cria plan predict` over the published runs of training. Catches: a change of a formula, a
figure or a constant after which predictions are worse than docs/PLANNER.md says; a table that loses rows or cells."""

import math
import os
import subprocess
import tempfile
import unittest

import scores

CRIA = os.environ["CRIA"]


def run(*arguments, text=None):
    command = [CRIA, "plan", "predict", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


class Predict(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        done = run("--csv", scores.PUBLISHED)
        assert done.returncode == 0, done.stderr
        with open(scores.PUBLISHED, encoding="utf-8", newline="") as file:
            cls.published = scores.read(file.read())
        cls.rows = scores.read(done.stdout)
        cls.training = [row for row in cls.rows if scores.is_training(row)]

    def test_cells_are_kept(self):
        self.assertEqual(len(self.rows), len(self.published))
        for before, after in zip(self.published, self.rows):
            self.assertEqual(before, {name: after[name] for name in before})

    def test_every_row_has_a_prediction(self):
        for row in self.training:
            self.assertFalse(row["pred_reason"], row["id"])
            for name in ("pred_step_time_s", "pred_mfu", "pred_memory_gib_per_gpu", "pred_tokens_per_s_per_gpu"):
                low, mid, high = (scores.number(row[name + end]) for end in ("_low", "", "_high"))
                self.assertTrue(low < mid < high, "%s: %s" % (row["id"], name))

    def test_step_time(self):
        errors = [(row, scores.error(row)) for row in self.training]
        errors = [(row, e) for row, e in errors if e is not None]
        print()
        for name, group in scores.GROUPS:
            print("by %s" % name)
            for key in sorted({group(row) for row, _ in errors}):
                n, off, part, signed = scores.summary([e for row, e in errors if group(row) == key])
                print("  %-28s %4d rows  median %5.1f %%  within 25 %%: %5.1f %%  bias %+5.1f %%"
                      % (key, n, 100 * off, 100 * part, 100 * signed))
        print("far off")
        for row, e in sorted(errors, key=lambda x: -abs(x[1])):
            if abs(e) > 0.33:
                print("  %+5.0f %%  %s" % (100 * math.expm1(e), row["id"]))
        halves = {}
        for half in (True, False):
            halves[half] = scores.summary([e for row, e in errors if scores.is_fitted(row) == half])
            print("%-8s %4d rows  median %.1f %%  within 25 %%: %.1f %%"
                  % ("fitted" if half else "judged", halves[half][0], 100 * halves[half][1], 100 * halves[half][2]))
        for n, off, part, _ in halves.values():
            self.assertGreater(n, 150)
            self.assertLess(off, 0.08)
            self.assertGreater(part, 0.88)
        n, off, part, _ = scores.summary([e for _, e in errors])
        self.assertLess(off, 0.07)
        self.assertGreater(part, 0.90)

    def test_ranges_hold(self):
        pairs = [scores.pair(row) for row in self.training]
        pairs = [p for p in pairs if p]
        inside = sum(low <= measured <= high for measured, _, low, high in pairs) / len(pairs)
        print("\nmeasured inside the range: %.1f %% of %d" % (100 * inside, len(pairs)))
        self.assertGreater(inside, 0.80)
        self.assertLess(inside, 0.97, "ranges that hold everything say nothing")

    def test_memory(self):
        off = []
        for row in self.training:
            measured, predicted = (scores.number(row[n]) for n in ("memory_gib_per_gpu", "pred_memory_gib_per_gpu"))
            if measured:
                off.append(abs(predicted / measured - 1))
        print("\nmemory: median %.1f %% of %d rows" % (100 * scores.median(off), len(off)))
        self.assertGreater(len(off), 15)
        self.assertLess(scores.median(off), 0.08)

    def test_files_and_streams(self):
        text = "model,gpu,num_gpus\nllama3-8b,h100,8\n"
        piped = run("--csv", "-", text=text)
        self.assertEqual(piped.returncode, 0, piped.stderr)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "in.csv")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            target = os.path.join(folder, "out.csv")
            self.assertEqual(run("--csv", path, "-o", target).returncode, 0)
            with open(target, encoding="utf-8") as file:
                self.assertEqual(file.read(), piped.stdout)
            constants = os.path.join(folder, "constants.yaml")
            with open(constants, "w", encoding="utf-8") as file:
                file.write("matmul_sustained: 0.5\n")
            slower = scores.read(run("--csv", path, "--constants", constants).stdout)[0]
            self.assertGreater(float(slower["pred_step_time_s"]),
                               1.2 * float(scores.read(piped.stdout)[0]["pred_step_time_s"]))
            with open(constants, "w", encoding="utf-8") as file:
                file.write("matmul_sustaned: 0.5\n")
            self.assertIn("no such constant", run("--csv", path, "--constants", constants).stderr)
        self.assertEqual(run().returncode, 2)
        self.assertIn("no-such-file.csv", run("--csv", "no-such-file.csv").stderr)


if __name__ == "__main__":
    unittest.main()
