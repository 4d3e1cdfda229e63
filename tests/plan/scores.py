"""How predictions of published runs are scored: shared by test_predict.py and fit.py."""

import csv
import hashlib
import math
import os

FOLDER = os.path.dirname(os.path.abspath(__file__))
PUBLISHED = os.path.join(FOLDER, "published-runs.csv")


def number(text):
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def read(text):
    return list(csv.DictReader(text.splitlines(keepends=True)))


def is_training(row):
    return row["tier"] == "1" and row["kind"] in ("train_bench", "mlperf_train")


def is_fitted(row):
    """The half that constants are fitted on, by a hash of the id: the other half judges."""
    return hashlib.sha256(("cria" + row["id"]).encode()).digest()[-1] % 2 == 0


def pair(row):
    """What was measured, what is predicted, its low and its high, of the step's time, or of the MFU where none was
    published; None where neither was."""
    for measured, predicted in (("step_time_s", "pred_step_time_s"), ("mfu", "pred_mfu")):
        values = [number(row[name]) for name in (measured, predicted, predicted + "_low", predicted + "_high")]
        if values[0] and values[1]:
            return values
    return None


def error(row):
    """The logarithm of predicted over measured time: positive is too slow."""
    values = pair(row)
    if not values:
        return None
    sign = 1 if number(row["step_time_s"]) else -1
    return sign * math.log(values[1] / values[0])


def median(values):
    ordered = sorted(values)
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n else 0.0


def summary(errors):
    """Count, median of the absolute relative error, part within 25 percent, the median of the signed error."""
    off = [abs(math.exp(e) - 1) for e in errors]
    return len(off), median(off), sum(x < 0.25 for x in off) / max(1, len(off)), median(errors)


def family(row):
    return "experts" if row["params_active"] else "dense"


def software(row):
    source = row["source"]
    for words, name in (
        (("llm-foundry",), "llm-foundry"),
        (("torchtitan",), "torchtitan"),
        (("MLPerf",), "MLPerf"),
        (("Megatron-Bridge",), "Megatron-Bridge"),
        (("DGX Cloud",), "DGX Cloud"),
        (("NeMo",), "NeMo"),
        (("Megatron-LM", "Korthikanti", "Narayanan", "Smith"), "Megatron-LM"),
    ):
        if any(word in source for word in words):
            return name
    return source[:24]


def scale(row):
    n = number(row["num_gpus"]) or 0
    for limit in (8, 64, 512, 4096):
        if n <= limit:
            return "up to %d chips" % limit
    return "over 4096 chips"


def chip(row):
    words = row["gpu"].replace("(", " ").split()
    return " ".join(words[:3] if "40GB" in row["gpu"] else words[:2])


GROUPS = (("software", software), ("chip", chip), ("precision", lambda r: r["precision"]), ("scale", scale),
          ("kind of model", family))
