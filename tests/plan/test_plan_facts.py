"""Well-known figures, and the dimensions of every figure, out of the planner as a user runs it.

Inputs of the built-in scenarios are counts and dates; what is compared here comes out of formulas over the hardware
tables and the failure rates. Each tolerance is stated beside its fact."""

import json
import math
import os
import re
import subprocess
import tempfile
import unittest

CRIA = os.environ.get("CRIA", "./cria")


def run(*arguments):
    return subprocess.run([CRIA, "plan", *map(str, arguments)], capture_output=True, text=True, timeout=120)


def ask(*arguments):
    """The answers by name."""
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return {a["name"]: a for a in json.loads(done.stdout)}


def value(answer, key):
    return answer["figures"][key]["value"]


class Facts(unittest.TestCase):
    def about(self, found, known, tolerance, what):
        print(f"\n{what}: {found:.4g}, published {known:.4g} ({100 * (found / known - 1):+.1f} %)", end="")
        self.assertLessEqual(abs(math.log(found / known)), math.log(1 + tolerance), what)

    def test_power(self):
        """100,000 H100: 150 MW of IT load, 1.59 TWh and 124 million dollars of electricity a year (SemiAnalysis)."""
        big = ask("compare", "power")["100,000 H100"]
        self.about(value(big, "it-watts"), 150e6, 0.05, "IT load of 100,000 H100, W")
        self.about(value(big, "energy-per-year"), 1.59e12, 0.05, "energy a year, Wh")
        self.about(value(big, "electricity-per-year"), 123.9e6, 0.05, "electricity a year, US$")

    def test_el_capitan(self):
        """El Capitan's 29.7 MW feed a sixth of that: 5 times its power for 100,000 H100."""
        answers = ask("compare", "power", "--set", "pue=1")
        ratio = value(answers["100,000 H100"], "it-watts") / 29.7e6
        self.about(ratio, 150 / 29.7, 0.05, "power of 100,000 H100 over El Capitan's")
        self.assertLessEqual(value(answers["H100 on 30 MW"], "meter-watts"), 30e6)

    def test_350k(self):
        """350,000 H100 for 10.5 billion dollars at 30,000 each: the servers around them cost more than the chips."""
        answer = ask("compare", "350k", "--set", "chip-price=30000", "--set", "building-price=0")["350,000 H100"]
        self.about(value(answer, "capital"), 10.5e9, 0.01, "350,000 chips at US$ 30,000")

    def test_llama3(self):
        """Llama 3.1 405B on 16,384 H100: 3.8e25 FLOP, 466 interruptions in 54 days, more than 90 percent effective,
        30.84 million counted GPU-hours, days of the scale of 54."""
        run_405b = ask("compare", "llama3")["Llama 3.1 405B"]
        self.about(value(run_405b, "model-flop"), 3.8e25, 0.02, "FLOP of the run")
        self.about(value(run_405b, "interruptions-54-days"), 466, 0.15, "interruptions in 54 days")
        self.assertGreater(value(run_405b, "goodput"), 0.90)
        hours = run_405b["figures"]["all-chip-hours"]
        self.about(hours["value"], 30.84e6, 0.25, "counted GPU-hours")
        self.about(value(run_405b, "run-days"), 30.84e6 / 1.09 / 16384 / 24, 0.25, "days of the main run")

    def test_llama4(self):
        """Llama 4: 5.0 million GPU-hours for Scout, 2.38 for Maverick; 17 billion parameters at work in both."""
        answers = ask("compare", "llama4")
        self.about(value(answers["Llama 4 Scout"], "all-chip-hours"), 5.0e6, 0.5, "GPU-hours of Scout")
        self.about(value(answers["Llama 4 Maverick"], "all-chip-hours"), 2.38e6, 0.5, "GPU-hours of Maverick")
        flop = value(answers["Llama 4 Scout"], "model-flop")
        self.about(flop / (6 * 40e12), 17e9, 0.06, "parameters at work")

    def test_users(self):
        """500 million users: more parameters need more chips, energy and money; a 70B answer takes what published
        estimates of a typical query take (0.24 to 0.34 Wh), within their spread of a factor of three."""
        answers = list(ask("compare", "500m-users").values())
        for key in ("chips", "energy-per-answer", "cost-per-million-tokens", "meter-watts"):
            values = [value(a, key) for a in answers]
            self.assertEqual(values, sorted(values), key)
        self.about(value(answers[1], "energy-per-answer"), 0.3, 2, "Wh of a 70B answer")


    def test_formats(self):
        """Catches a search over formats that forgets the cache or the weights: on the same chips fewer bits of either
        never need more chips, and the format that was asked for needs what the answer says."""
        answer = ask("serve", "--users", "100M", "--precision", "fp8", "--set", "kv-bytes=1")["serve"]
        chips = {(f["weights"], f["kv_bytes"]): f["chips"] for f in answer["formats"]}
        self.assertEqual(chips["fp8", 1], value(answer, "chips"))
        for weights in ("bf16", "fp8", "int4"):
            self.assertLess(chips[weights, 1], chips[weights, 2])
        for kv in (1, 2):
            self.assertLess(chips["fp8", kv], chips["bf16", kv])


# Units by their dimensions: the exponents of the base quantities, and the factor to the base unit.
UNITS = {
    "1": (1, {}),
    "s": (1, {"s": 1}),
    "min": (60, {"s": 1}),
    "h": (3600, {"s": 1}),
    "day": (86400, {"s": 1}),
    "month": (365 * 86400 / 12, {"s": 1}),
    "year": (365 * 86400, {"s": 1}),
    "W": (1, {"J": 1, "s": -1}),
    "Wh": (3600, {"J": 1}),
    "kWh": (3.6e6, {"J": 1}),
    "g": (1, {"g": 1}),
    "t": (1e6, {"g": 1}),
    "B": (1, {"B": 1}),
    "US$": (1, {"US$": 1}),
    "FLOP": (1, {"FLOP": 1}),
    "token": (1, {"token": 1}),
    "Mtoken": (1e6, {"token": 1}),
    "chip": (1, {"chip": 1}),
    "user": (1, {"user": 1}),
    "person": (1, {"person": 1}),
}


class Quantity:
    """A number with a dimension: adding unlike ones is an error, multiplying adds exponents."""

    def __init__(self, number, dimension):
        self.number = number
        self.dimension = {k: v for k, v in dimension.items() if v}

    @classmethod
    def of(cls, number, unit):
        factor, dimension = 1.0, {}
        for i, part in enumerate(unit.replace("M token", "Mtoken").split("/")):
            f, d = UNITS[part]
            factor *= f if i == 0 else 1 / f
            for k, v in d.items():
                dimension[k] = dimension.get(k, 0) + (v if i == 0 else -v)
        return cls(number * factor, dimension)

    def __mul__(self, other):
        other = other if isinstance(other, Quantity) else Quantity(other, {})
        keys = {*self.dimension, *other.dimension}
        added = {k: self.dimension.get(k, 0) + other.dimension.get(k, 0) for k in keys}
        return Quantity(self.number * other.number, added)

    def __truediv__(self, other):
        other = other if isinstance(other, Quantity) else Quantity(other, {})
        return self * Quantity(1 / other.number, {k: -v for k, v in other.dimension.items()})

    def __add__(self, other):
        assert self.dimension == other.dimension, (self.dimension, other.dimension)
        return Quantity(self.number + other.number, self.dimension)


class Answer:
    """figure("chips") and input("pue") as quantities."""

    def __init__(self, answer):
        self.answer = answer

    def __getitem__(self, key):
        found = self.answer["figures"].get(key) or self.answer["inputs"][key]
        return Quantity.of(found["value"], found["unit"])


PER = Quantity.of
YEAR, DAY = PER(1, "year"), PER(1, "day")


class Dimensions(unittest.TestCase):
    def same(self, a, b, what):
        self.assertEqual(a.dimension, b.dimension, what)
        self.assertLessEqual(abs(a.number - b.number), 1e-6 * abs(b.number), what)

    def test_every_unit_is_known(self):
        """Catches a figure or an input without a unit, or with one that nobody defined."""
        for which in ("power", "llama3", "500m-users"):
            for answer in ask("compare", which).values():
                for key, row in {**answer["figures"], **answer["inputs"]}.items():
                    if isinstance(row, dict):
                        PER(1, row["unit"])
                        self.assertTrue(math.isfinite(row["value"]), key)

    def test_site(self):
        """Each figure of a site from the others, by value and by dimension: W x year is Wh, Wh x US$/kWh is US$."""
        a = Answer(ask("site", "--gpus", "5000", "--set", "load=0.7", "--set", "kwh-price=0.11")["site"])
        self.same(a["watts-per-chip"] * a["gpus"] / PER(1, "chip"), a["it-watts"], "IT power")
        self.same(a["it-watts"] * a["pue"], a["meter-watts"], "power at the meter")
        self.same(a["meter-watts"] * a["load"] * YEAR, a["energy-per-year"], "energy")
        self.same(a["energy-per-year"] * a["kwh-price"], a["electricity-per-year"], "electricity")
        self.same(a["energy-per-year"] * a["carbon"], a["carbon-per-year"], "carbon")
        capital = a["gpus"] * a["chip-price"] / PER(1, "chip") + a["it-watts"] * a["building-price"]
        self.same(capital, a["capital"], "capital")

    def test_serve(self):
        """The same of a service."""
        a = Answer(ask("serve", "--users", "30M", "--set", "token-price=3")["serve"])
        requests = a["users"] * a["daily-part"] * a["messages"] / PER(1, "user")
        self.same(requests, a["requests-per-s"], "requests")
        self.same(a["requests-per-s"] * a["peak"], a["busy-requests-per-s"], "busiest hour")
        self.same(a["engines"] * a["engine-chips"], a["chips"] * PER(1, "chip") / PER(1, "chip"), "chips")
        self.same(a["mean-watts"] / a["requests-per-s"], a["energy-per-answer"], "energy of an answer")
        self.same(a["energy-per-answer"] * a["carbon"], a["carbon-per-answer"], "carbon of an answer")
        tokens = a["requests-per-s"] * a["answer-tokens"]
        self.same(tokens * a["token-price"] * YEAR, a["revenue-per-year"], "revenue")
        cost = a["cost-per-answer"] * a["requests-per-s"] * YEAR
        self.same(cost, a["cost-per-year"], "cost")

    def test_train(self):
        """The same of a run."""
        a = Answer(ask("train", "--model", "llama3-8b", "--gpus", "512", "--tokens", "3T")["train"])
        self.same(a["chip-hours"], a["run-days"] * a["chips"] / PER(1, "chip"), "chip-hours")
        self.same(a["run-days"] * a["goodput"], a["run-days-undisturbed"], "goodput")
        rate = a["tokens-per-s-per-chip"] * a["chips"] / PER(1, "chip")
        self.same(a["step-s"] * rate, a["batch-tokens"], "tokens of a step")
        self.same(a["interruptions-54-days"], a["interruptions"] / a["run-days"] * PER(54, "day"), "interruptions")


class Program(unittest.TestCase):
    def test_page(self):
        """Catches a page that needs the network, lacks a picture, or shows a number that is none."""
        with tempfile.TemporaryDirectory() as folder:
            for arguments, pictures in (
                (("serve", "--users", "5M"), 8),
                (("train", "--model", "llama3-8b", "--gpus", "64", "--set", "pp=2", "--set", "tp=2"), 7),
                (("compare", "power"), 5),
            ):
                path = os.path.join(folder, "plan.html")
                done = run(*arguments, "--html", path)
                self.assertEqual(done.returncode, 0, done.stderr)
                with open(path, encoding="utf-8") as f:
                    page = f.read()
                self.assertGreaterEqual(page.count("<figure"), pictures, arguments)
                self.assertNotRegex(page, r"(src|href)=.https?:")
                self.assertNotRegex(re.sub(r"<[^>]*>", " ", page), r"\b(nan|inf|NaN)\b")

    def test_errors(self):
        """Catches a mistake that is let through, or a message that does not say what was meant."""
        for arguments, status, words in (
            (("serve", "--gpu", "mi300y"), 1, "mi300x"),
            (("serve", "--set", "usres=4"), 1, "users"),
            (("serve", "--users", "-5"), 1, "users"),
            (("serve", "--users", "many"), 1, "number"),
            (("site", "--gpus", "2.5"), 1, "whole"),
            (("site",), 2, "power-cap"),
            (("train", "--gpus", "64", "--set", "pp=40", "--set", "tp=1", "--model", "llama3-8b"), 1, "40"),
            (("train", "--model", "llama3-405b", "--gpus", "16"), 1, "GB"),
            (("compare", "pwer"), 1, "power"),
            (("compare",), 2, "500m-users"),
        ):
            done = run(*arguments)
            self.assertEqual(done.returncode, status, (arguments, done.stderr))
            self.assertIn(words, done.stderr, arguments)
            self.assertEqual(done.stdout, "", arguments)

    def test_same_twice(self):
        """Catches a plan that depends on anything but its inputs."""
        arguments = ("train", "--model", "llama3-8b", "--gpus", "128", "--tokens", "1T")
        self.assertEqual(run(*arguments).stdout, run(*arguments).stdout)
        self.assertNotEqual(run(*arguments).stdout, run(*arguments, "--set", "seed=2").stdout)


if __name__ == "__main__":
    unittest.main()
