"""The published rows of serving and how far predictions lie from them; shared by test_plan_serving.py and
fit_serving.py. Rows are told into two halves by a hash of their id, so that everybody has the same halves."""

import csv
import hashlib
import io
import math
import os
import subprocess

FOLDER = os.path.dirname(os.path.abspath(__file__))
CRIA = os.environ.get("CRIA", "./cria")
MEASURED = (
    "step_time_s tflops_per_gpu mfu tokens_per_s_per_gpu gpu_hours wall_days energy_kwh_or_power_mw"
    " memory_gib_per_gpu value energy_kwh power_mw"
).split()


def read(tier="1"):
    """Rows of kind inference that say how many tokens a second a chip gave."""
    with open(os.path.join(FOLDER, "published-runs.csv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    return [r for r in rows if r["kind"] == "inference" and r["tier"] == tier and measured(r)]


def measured(row):
    """Output tokens a second and chip."""
    if row["tokens_per_s_per_gpu"]:
        return float(row["tokens_per_s_per_gpu"])
    if row["unit"].startswith("tokens/s"):
        return float(row["value"]) / float(row["num_gpus"])
    return None


def is_fitted(row):
    """Whether the row is of the half that constants are fitted on."""
    return hashlib.sha256(row["id"].encode()).digest()[0] % 2 == 0


def predict(rows, *options):
    """The rows as the program gives them back."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    done = subprocess.run(
        [CRIA, "plan", "predict", "--csv", "-", *options], input=text.getvalue(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def ratios(rows, predicted):
    """{id: predicted / measured} of the rows that could be predicted."""
    return {
        r["id"]: float(p["pred_tokens_per_s_per_gpu"]) / measured(r)
        for r, p in zip(rows, predicted)
        if p["pred_tokens_per_s_per_gpu"]
    }


def errors(ratio_list):
    return sorted(abs(x - 1) for x in ratio_list)


def median(values):
    values = sorted(values)
    n = len(values)
    return (values[(n - 1) // 2] + values[n // 2]) / 2 if n else math.nan


def share(values, limit):
    return sum(v <= limit for v in values) / len(values)


def line(name, ratio_list):
    e = errors(ratio_list)
    return (
        f"{name:42s} {len(e):4d} rows  bias {median(ratio_list) - 1:+.2f}  median error {median(e):.3f}"
        f"  within 20 % {share(e, 0.2):.2f}  within 40 % {share(e, 0.4):.2f}"
    )
