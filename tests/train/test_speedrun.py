"""tools/speedrun from its first line to its last, and the promises of its recipe, over small texts of random words.

The script runs in a folder of its own with the recipes of the tree, texts where the books would lie, and stand-ins for
tools/setup and 7z, which need a network or root. What it makes of the real books is in docs/SPEED.md.
"""

import os
import random
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

CRIA = os.path.abspath(os.environ.get("CRIA", "./cria"))
SOURCE = os.environ.get("CRIA_SOURCE_DIR", os.getcwd())
SEED = 20261122
BOOKS = {
    "austen": ["emma", "mansfieldpark", "northangerabbey", "prideprejudice", "sensesensibility", "persuasion"],
    "treasury-of-david": ["treasury-of-david"],
    "world-english-bible": ["world-english-bible"],
}
# Called as 7z is: options, the archive, the file.
SEVEN_ZIP = """#!/usr/bin/env python3
import sys, zlib
with open(sys.argv[-1], "rb") as text, open(sys.argv[-2], "wb") as archive:
    archive.write(zlib.compress(text.read()))
"""


def write_program(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)


def write_books(folder):
    """Books of words that all share, enough different ones for a vocabulary of 8,192."""
    chance = random.Random(SEED)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(4, 9))) for _ in range(6000)]
    for corpus, names in BOOKS.items():
        os.makedirs(os.path.join(folder, corpus))
        for name in names:
            chosen = chance.choices(words, k=1500 if name == "persuasion" else 6000)
            lines = [" ".join(chosen[i : i + 10]) for i in range(0, len(chosen), 10)]
            with open(os.path.join(folder, corpus, name + ".txt"), "w", encoding="ascii") as f:
                f.write("\n".join(lines) + "\n")


class Speedrun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        cls.tree = tempfile.mkdtemp(prefix="cria-speedrun-")
        cls.addClassCleanup(shutil.rmtree, cls.tree, ignore_errors=True)
        shutil.copytree(os.path.join(SOURCE, "recipes"), os.path.join(cls.tree, "recipes"))
        os.makedirs(os.path.join(cls.tree, "tools"))
        shutil.copy(os.path.join(SOURCE, "tools", "speedrun"), os.path.join(cls.tree, "tools"))
        write_program(os.path.join(cls.tree, "tools", "setup"), "#!/bin/sh\n")
        write_program(os.path.join(cls.tree, "bin", "7z"), SEVEN_ZIP)
        os.symlink(CRIA, os.path.join(cls.tree, "cria"))
        write_books(os.path.join(cls.tree, "build", "speedrun", "text"))
        path = os.path.join(cls.tree, "bin") + os.pathsep + os.environ["PATH"]
        cls.environment = dict(os.environ, PATH=path, HOME=cls.tree, LC_ALL="C.UTF-8")
        cls.first = cls.speedrun()

    @classmethod
    def speedrun(cls):
        return subprocess.run(["tools/speedrun", "2"], cwd=cls.tree, env=cls.environment, capture_output=True,
                              encoding="utf-8", errors="replace", timeout=300, stdin=subprocess.DEVNULL, check=False)

    def read(self, name):
        with open(os.path.join(self.tree, "build", "speedrun", name), encoding="utf-8") as f:
            return f.read()

    def test_every_stage(self):
        """Catches: an option that is called otherwise now, a stage whose output the next does not find, a page without
        what it is for, a held-out novel that leaked into training or was dropped as a test."""
        said = self.first.stdout + self.first.stderr
        self.assertEqual(self.first.returncode, 0, said)
        self.assertRegex(said, r"held out +1\n")
        scores = self.read("run-2/scores.txt")
        figures = [float(figure) for figure in re.findall(r": (\d+\.\d{4})", scores)]
        self.assertEqual(len(figures), 3, scores)
        self.assertTrue(all(0.5 < figure < 12 for figure in figures), scores)
        page = self.read("run-2/report.html")
        for wanted in ["PPMd, order 8, same text", "Held-out text", "Captain Wentworth"]:
            self.assertIn(wanted, page)
        self.assertGreater(len(self.read("run-2/story.txt")), 100)

    def test_goes_on(self):
        """Catches: a second call that makes everything anew, or fails because something is there."""
        before = self.read("data/manifest.json"), self.read("run-2/log.jsonl")
        again = self.speedrun()
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertEqual(before, (self.read("data/manifest.json"), self.read("run-2/log.jsonl")))

    def test_size(self):
        """Catches: a recipe of fewer than five million weights, or of fewer than eight million tokens."""
        done = subprocess.run(["./cria", "train", "--dry-run", "recipes/speedrun.yaml", "-o", "dry"], cwd=self.tree,
                              env=self.environment, capture_output=True, encoding="utf-8", timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = re.search(r"(\d+) parameters.*; (\d+) steps of (\d+) rows of at most (\d+) tokens", done.stdout)
        self.assertIsNotNone(found, done.stdout)
        parameters, steps, rows, length = map(int, found.groups())
        self.assertGreaterEqual(parameters, 5_000_000)
        self.assertGreaterEqual(steps * rows * length, 8_100_000)  # rows are a little less than full


if __name__ == "__main__":
    unittest.main()
