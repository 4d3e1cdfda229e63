"""`cria report` from outside: the page is well-formed and fetches nothing, wrong logs are refused by line, and the
event file is what the real tensorboard package reads.

tensorboard (a few MB without tensorflow) comes from the package index through pip and stays in build/fetched.
"""
import html.parser
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "kit")]
sys.dont_write_bytecode = True
import fetch  # noqa: E402

CRIA = os.path.abspath(os.environ.get("CRIA", "./cria"))
TENSORBOARD = ["tensorboard==2.21.0"]
VOID = {"meta", "br", "hr", "img", "input", "link"}
STEPS = 700
HOSTILE = "</pre><script>alert(1)</script> & \"'\u0001"


def step_line(step):
    """A line as the trainer writes it; every value differs from every other."""
    return {"step": step, "loss": 2 + 7 * math.exp(-step / 90) + step % 7 / 100, "grad_norm": 0.4 + 1 / step,
            "lr": 3e-4 * min(1, step / 50), "tokens": 8192, "tokens_per_s": 14000 + step, "joules": 17.5}


def lines():
    for step in range(1, STEPS + 1):
        yield step_line(step)
        if step % 100 == 0:
            yield {"step": step, "eval_bits_per_byte": 1 + 100 / step, "eval_loss": 2 + 100 / step}
            yield {"step": step, "sample": HOSTILE}


class Page(html.parser.HTMLParser):
    """Checks that elements nest, and keeps the names of elements and the addresses that they name."""

    def __init__(self):
        super().__init__()
        self.open, self.names, self.addresses = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data")]
        self.addresses += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            raise AssertionError(f"</{tag}> inside {self.open[-3:]}, line {self.getpos()[0]}")
        self.open.pop()


class Report(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cria-report-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.run_folder = os.path.join(self.folder, "speed <run>")
        os.mkdir(self.run_folder)
        self.write("run.json", json.dumps({"options": {"lr": "3e-4", HOSTILE: HOSTILE},
                                           "energy_source": "estimated: 20 W + 10 W for each busy core"}))
        self.write("log.jsonl", "".join(json.dumps(line) + "\n" for line in lines()))

    def write(self, name, text):
        with open(os.path.join(self.run_folder, name), "w", encoding="utf-8") as out:
            out.write(text)

    def read(self, name):
        with open(os.path.join(self.run_folder, name), "rb") as f:
            return f.read()

    def report(self, *arguments, ok=True):
        done = subprocess.run([CRIA, "report", self.run_folder, *arguments], capture_output=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode == 0, ok, done.stderr)
        return done

    def test_page(self):
        """Catches elements that do not nest, pictures that are no XML, text of files that becomes markup, anything
        fetched or run, and a page that changes from one making to the next."""
        done = self.report()
        self.assertIn("estimated", done.stdout.decode())
        first = self.read("report.html")
        self.report()
        self.assertEqual(first, self.read("report.html"))
        self.assertEqual(first, self.report("-o", "-").stdout)
        text = first.decode("utf-8")
        page = Page()
        page.feed(text)
        page.close()
        self.assertEqual(page.open, [])
        self.assertEqual(page.addresses, [])
        self.assertFalse({"script", "iframe", "object", "link", "img", "form"} & page.names)
        self.assertNotRegex(text, r"https?:|@import|url\(")
        self.assertIn("<h1>speed &lt;run&gt;</h1>", text)
        pictures = re.findall(r"<svg.*?</svg>", text, re.S)
        self.assertGreaterEqual(len(pictures), 12)
        for picture in pictures:
            root = xml.etree.ElementTree.fromstring(picture)
            self.assertTrue(root.find("title").text)
            width, height = map(float, root.get("viewBox").split()[2:])
            for label in root.iter("text"):
                self.assertTrue(-1 <= float(label.get("x")) <= width + 1, label.text)
                self.assertTrue(0 <= float(label.get("y")) <= height + 1, label.text)

    def test_money(self):
        """Catches prices that do not follow the options: 700 x 17.5 J are 12.25 kJ, or 0.0034 kWh."""
        text = self.report("-o", "-", "--price-per-kwh", "1000", "--co2-per-kwh", "2000", "--currency", "£").stdout
        self.assertIn("<dd>£3.40</dd>", text.decode())
        self.assertIn("<dd>6.81 g</dd>", text.decode())
        self.report("--price-per-kwh", "-1", ok=False)

    def test_wrong(self):
        """Catches errors that do not name the file and the line, and a page that is written all the same."""
        self.write("log.jsonl", json.dumps(step_line(1)) + "\n{\"step\":2,\"loss\":[1]}\n" + json.dumps(step_line(3)))
        said = self.report(ok=False).stderr.decode()
        self.assertIn("log.jsonl: line 2", said)
        self.assertIn("loss", said)
        self.assertEqual(sorted(os.listdir(self.run_folder)), ["log.jsonl", "run.json"])
        self.write("log.jsonl", json.dumps(step_line(1)) + "\n" + json.dumps(step_line(2))[:30])
        self.report()  # a last line that a kill cut short is no fault of the log
        self.write("run.json", "{")
        self.assertIn("run.json", self.report(ok=False).stderr.decode())
        os.remove(os.path.join(self.run_folder, "log.jsonl"))
        self.assertIn("log.jsonl", self.report(ok=False).stderr.decode())

    def test_tensorboard(self):
        """Catches a framing, a checksum or a field that tensorboard reads otherwise: every value comes back."""
        python = fetch.environment("tensorboard", TENSORBOARD)
        events = os.path.join(self.folder, "events")
        self.report("--tensorboard", events)

        def read():
            return subprocess.run([python, "-B", os.path.join(HERE, "read_events.py"), events], capture_output=True,
                                  text=True, timeout=120, check=False)

        found = json.loads(read().stdout)
        self.assertEqual(found["file_version"], 2)
        scalars = found["scalars"]
        self.assertEqual([step for step, _, _ in scalars["train/loss"]], list(range(1, STEPS + 1)))
        for step, _, value in scalars["train/loss"]:
            self.assertAlmostEqual(value, step_line(step)["loss"], places=5)
        for step, _, value in scalars["speed/tokens_per_s"]:
            self.assertEqual(value, 14000 + step)
        self.assertEqual([[step, round(value, 5)] for step, _, value in scalars["eval/bits_per_byte"]],
                         [[step, round(1 + 100 / step, 5)] for step in range(100, STEPS + 1, 100)])
        times = [time for _, time, _ in scalars["train/loss"]]
        self.assertEqual(times, sorted(times))
        # the reader does check what it reads: a flipped byte ends the file for it
        (name,) = os.listdir(events)
        path = os.path.join(events, name)
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1]))
        broken = read()
        if broken.returncode == 0:
            self.assertLess(len(json.loads(broken.stdout)["scalars"]["train/loss"]), STEPS)


if __name__ == "__main__":
    unittest.main()
