#!/usr/bin/env python3
"""Fits the constants of serving on one half of the published rows and judges them on the other. Run by hand:

    CRIA=./cria python3 tests/plan/fit_serving.py

The loss grows with the square of small errors and linearly with large ones; each constant in turn is moved by a factor
as long as that helps. The result goes into src/plan/plan_constants.c by hand, rounded."""

import math
import tempfile

import serving_rows as published

START = {
    "serving_read": 0.82,
    "serving_layer": 68e-6,
    "serving_sequence": 47e-6,
    "serving_dispatch": 1.0e-6,
}
SCALE = 0.15


def ratios(rows, constants):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.writelines(f"{name}: {value:.9f}\n" for name, value in constants.items())
        f.flush()
        return published.ratios(rows, published.predict(rows, "--constants", f.name))


def loss(rows, constants):
    return sum(math.sqrt(1 + (math.log(x) / SCALE) ** 2) - 1 for x in ratios(rows, constants).values())


def fit(rows):
    best, at, step = loss(rows, START), dict(START), 0.2
    while step > 0.02:
        tries = [dict(at, **{n: at[n] * f}) for n in at for f in (1 + step, 1 / (1 + step))]
        values = [loss(rows, t) if t["serving_read"] <= 1 else math.inf for t in tries]
        if min(values) < best - 1e-9:
            best, at = min(zip(values, tries), key=lambda pair: pair[0])
        else:
            step /= 2
    return at


def main():
    rows = published.read()
    halves = [r for r in rows if published.is_fitted(r)], [r for r in rows if not published.is_fitted(r)]
    for i in range(2):
        found = fit(halves[i])
        print("fitted on half", i, {name: float(f"{value:.3g}") for name, value in found.items()})
        for k in range(2):
            print(published.line(f"  judged on half {k}", list(ratios(halves[k], found).values())))
    print(published.line("constants of the program", list(ratios(rows, START).values())))


if __name__ == "__main__":
    main()
