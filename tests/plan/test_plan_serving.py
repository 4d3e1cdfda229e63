"""Predictions of serving beside the published rows: medians, ranges, halves; and that no measured figure is read."""

import re
import unittest

import serving_rows as published

MEDIAN_LIMIT = 0.20
COVERED = 0.75


class Serving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = published.read()
        cls.predicted = published.predict(cls.rows)
        cls.ratio = published.ratios(cls.rows, cls.predicted)

    def groups(self, key):
        names = {}
        for row in self.rows:
            if row["id"] in self.ratio:
                names.setdefault(key(row), []).append(self.ratio[row["id"]])
        return sorted(names.items())

    def test_medians(self):
        """Catches a change that loses a part of the decode step: the median error of all rows, of each half and of
        each chip stays below 20 percent. Prints the residuals by group."""
        keys = {
            "half": lambda r: "fitted half" if published.is_fitted(r) else "other half",
            "chip": lambda r: re.match(r"[A-Z]+\d+", r["gpu"]).group(),
            "source": lambda r: r["id"].split("-")[0] + " " + r["date"][:4],
            "model": lambda r: r["model"].split("/")[-1],
            "precision": lambda r: r["precision"] or "not stated",
            "chips": lambda r: f"{r['num_gpus']} chips",
        }
        self.assertGreaterEqual(len(self.ratio), 0.98 * len(self.rows))
        print("\n" + published.line("all", list(self.ratio.values())))
        for key, of in keys.items():
            for name, ratios in self.groups(of):
                print(published.line(f"{key}: {name}", ratios))
                if key in ("half", "chip") and len(ratios) >= 10:
                    self.assertLess(published.median(published.errors(ratios)), MEDIAN_LIMIT, name)
        self.assertLess(published.median(published.errors(self.ratio.values())), MEDIAN_LIMIT)
        for name in sorted(self.ratio, key=self.ratio.get):
            if abs(self.ratio[name] - 1) > 0.4:
                print(f"outlier {self.ratio[name]:.2f} {name}")

    def test_ranges(self):
        """Catches ranges that are made narrower than what they were made from."""
        inside = [
            float(p["pred_tokens_per_s_per_gpu_low"])
            <= published.measured(r)
            <= float(p["pred_tokens_per_s_per_gpu_high"])
            for r, p in zip(self.rows, self.predicted)
            if p["pred_tokens_per_s_per_gpu"]
        ]
        print(f"\n{100 * sum(inside) / len(inside):.0f} % of {len(inside)} rows inside their range")
        self.assertGreater(sum(inside) / len(inside), COVERED)

    def test_measured_columns_are_not_read(self):
        """Catches a prediction that peeks: with every measured column empty, and every measured figure of the notes
        changed, the predictions are the same to the last digit."""
        blind = []
        for row in self.rows:
            row = dict(row, **{name: "" for name in published.MEASURED})
            row["notes"] = re.sub(r"(average batch|latency|total|power|average) [\d.]+", r"\1 12345", row["notes"])
            row["notes"] = re.sub(r"[\d.]+ J", "1 J", row["notes"])
            blind.append(row)
        for row, p in zip(blind, self.predicted):
            if "average output" in row["notes"]:
                row["notes"] = re.sub(r"average output \S+", "average output 400", row["notes"])
        seen = [dict(r, notes=re.sub(r"average output \S+", "average output 400", r["notes"])) for r in self.rows]
        for a, b in zip(published.predict(seen), published.predict(blind)):
            for name in a:
                if name.startswith("pred_"):
                    self.assertEqual(a[name], b[name], a["id"])

    def test_other_software(self):
        """Catches a model that only knows the software it was fitted on: engines compiled for their model, on rows
        that no constant was fitted to, within half of the measured rate in the median."""
        rows = [r for r in published.read("2") if r["id"].startswith(("trtllm", "mlperf", "oracle", "amd"))]
        ratio = published.ratios(rows, published.predict(rows))
        print("\n" + published.line("other engines, tier 2", list(ratio.values())))
        self.assertGreater(len(ratio), 150)
        self.assertLess(published.median(published.errors(ratio.values())), 0.3)

    def test_odd_rows(self):
        """Catches a row that fails the file: what cannot be predicted gives a reason, what is missing is assumed."""
        odd = [dict(self.rows[-1]) for _ in range(5)]
        odd[0]["gpu"] = "Abacus 3000"
        odd[1].update(model="nobody knows", layers="", dim="", params_total="", params_active="")
        odd[2]["num_gpus"] = "0"
        odd[3]["precision"] = "fp7"
        odd[4].update(tp="4096", ep="")
        predicted = published.predict(odd)
        for p in predicted:
            self.assertNotEqual(bool(p["pred_tokens_per_s_per_gpu"]), bool(p["pred_reason"]), p)
        for p in predicted[:2]:
            self.assertTrue(p["pred_reason"], p)


if __name__ == "__main__":
    unittest.main()
