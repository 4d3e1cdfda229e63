#!/usr/bin/env python3
"""Fits the planner's constants of training to one half of the published rows and judges them on the other.

Run by hand, with numpy and scipy: CRIA=build/release/cria python3 tests/plan/fit.py [--write]. The halves are
drawn by a hash of each row's id (scores.py), so they stay the same. Each constant moves inside the interval that its
row of src/plan/plan_constants.c states; rows of large groups weigh less, so that one repository with a hundred rows
does not decide alone; far outliers pull little (soft L1). --write puts the result into the table."""

import csv
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from scipy.optimize import least_squares

import scores

CRIA = os.environ["CRIA"]
TABLE = os.path.join(scores.FOLDER, "../../src/plan/plan_constants.c")
ROW = r'\{"(%s)",\s*([-\d.e]+),\s*"[^"]*",\s*([-\d.e]+),\s*([-\d.e]+)'
SPREAD = 0.08  # the error of a good row, beyond which its pull grows slower


def constants():
    with open(TABLE, encoding="utf-8") as file:
        found = re.findall(ROW % r"\w+", file.read())
    return [(name, float(value), float(low), float(high)) for name, value, low, high in found
            if not name.startswith("serving")]


def training_rows(folder):
    """A table of the rows to fit alone, so that a run is quick; its path."""
    with open(scores.PUBLISHED, encoding="utf-8", newline="") as file:
        rows = [row for row in scores.read(file.read()) if scores.is_training(row)]
    path = os.path.join(folder, "rows.csv")
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path, rows


def predict(folder, table, names, values):
    path = os.path.join(folder, "constants.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines("%s: %.8g\n" % pair for pair in zip(names, values))
    done = subprocess.run([CRIA, "plan", "predict", "--csv", table, "--constants", path], capture_output=True,
                          text=True, check=True)
    return np.array([scores.error(row) if scores.pair(row) else np.nan for row in scores.read(done.stdout)])


def weights(rows):
    sources = [row["source"][:30] for row in rows]
    w = np.array([1 / np.sqrt(sources.count(source) / 10 + 1) for source in sources])
    return w / w.mean()


def show(title, errors):
    n, off, part, _ = scores.summary(list(errors[np.isfinite(errors)]))
    print("%-14s %d rows  median %.2f %%  within 25 %%: %.1f %%" % (title, n, 100 * off, 100 * part))


def write(names, values):
    with open(TABLE, encoding="utf-8") as file:
        text = file.read()
    for name, value in zip(names, values):
        text = re.sub(r'(\{"%s",\s*)[-\d.e]+' % name, lambda m, v=value: "%s%.3g" % (m.group(1), v), text)
    with open(TABLE, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    table = constants()
    names = [row[0] for row in table]
    start, low, high = (np.array([row[i] for row in table]) for i in (1, 2, 3))

    def inside(z):
        return low + (high - low) / (1 + np.exp(8 - z))

    with tempfile.TemporaryDirectory() as folder:
        path, rows = training_rows(folder)
        fitted = np.array([scores.is_fitted(row) for row in rows])
        root = np.sqrt(weights(rows))

        def residuals(z):
            errors = np.nan_to_num(predict(folder, path, names, inside(z))) * root
            return errors[fitted] / SPREAD

        part = np.clip((start - low) / (high - low), 0.05, 0.95)
        found = least_squares(residuals, 8 + np.log(part / (1 - part)), loss="soft_l1", diff_step=0.015, max_nfev=25)
        values = inside(found.x)
        for title, constants_now in (("before", start), ("after", values)):
            errors = predict(folder, path, names, constants_now)
            show(title + ", fitted", errors[fitted])
            show(title + ", judged", errors[~fitted])
    for name, value, least, most in zip(names, values, low, high):
        print("  %-24s %-9.4g in %g to %g" % (name, value, least, most))
    if "--write" in sys.argv[1:]:
        write(names, values)


if __name__ == "__main__":
    main()
