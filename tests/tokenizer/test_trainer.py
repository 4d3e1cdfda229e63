"""`cria tokenizer train` and `cria tokenizer eval` against the reference library and against arithmetic.

Every vocabulary and list of merges has to equal what the BpeTrainer of the tokenizers library learns from the same
text, ids included, for several megabytes of every script, for texts of few letters (ties, runs) and for all splitters.
What is written has to load there and to give the ids that Cria gives. The library comes from the package index through
pip, as for test_reference.py.
"""
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kit")]
sys.dont_write_bytecode = True
import fetch  # noqa: E402
import make_corpus  # noqa: E402
import reference  # noqa: E402
from test_reference import LIBRARIES  # noqa: E402

CRIA = os.path.abspath(os.environ.get("CRIA", "./cria"))
CORPUS_BYTES = 5000000
SEED = 11
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|pad|>"]


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def split(pattern):
    step = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [step, byte_level(False)]}


SPLITTERS = {
    "llama3": split(reference.LLAMA3),
    "llama4": split(reference.LLAMA4),
    "gpt2": byte_level(True),
    "smollm": {"type": "Sequence",
               "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level(True)]},
}


def run(*arguments, status=0):
    done = subprocess.run([CRIA, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise AssertionError(f"{arguments}: status {done.returncode}: {done.stderr.strip()}")
    return done


def few_letters(r, n_lines):
    """Words of one to four letters of the alphabet, runs of signs and of empty space: ties at every step."""
    lines = []
    for _ in range(n_lines):
        words = []
        for _ in range(1 + r.below(8)):
            letters = "abcd"[:1 + r.below(4)]
            words.append("".join(r.pick(letters) for _ in range(1 + r.below(20))))
        lines.append((r.pick(["", "  ", "====", "---- "]) * r.below(5)) + " ".join(words) + r.pick(["", "\r", " "]))
    return "\n".join(lines)


class Trainer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="cria-trainer-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.python = fetch.environment("tokenizers", LIBRARIES)
        cls.texts = list(make_corpus.texts(CORPUS_BYTES, SEED))
        cls.write("corpus.txt", "\n".join(cls.texts))
        cls.write("small.txt", "\n".join(cls.texts[::7]))
        cls.write("few.txt", few_letters(make_corpus.Random(SEED), 8000))
        cls.write("corpus.jsonl", "".join(json.dumps({"id": 1, "text": t}) + "\n" for t in cls.texts[::3]))
        cls.write("special.json", json.dumps(SPECIAL))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def write(cls, name, text):
        with open(cls.path(name), "w", encoding="utf-8", newline="") as out:
            out.write(text)

    def train(self, out, size, files, *options):
        special = [word for token in SPECIAL for word in ("--special", token)]
        return run("tokenizer", "train", *files, "-n", size, "-o", self.path(out), *special, *options)

    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as f:
            return json.load(f)

    def compare(self, size, files, splitter="llama3", min_frequency=1):
        """Both learn; vocabulary, merges, special tokens and steps have to be the same."""
        wanted, files = self.path("wanted.json"), [self.path(name) for name in files]
        subprocess.run([self.python, os.path.join(HERE, "train_reference.py"), json.dumps(SPLITTERS[splitter]),
                        str(size), str(min_frequency), self.path("special.json"), wanted, *files], check=True)
        self.train("found", size, files, "--splitter", splitter, "--min-frequency", min_frequency)
        wanted, found = self.read(wanted), self.read(self.path("found/tokenizer.json"))
        a, b = wanted["model"]["merges"], found["model"]["merges"]
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        self.assertEqual(a[at:at + 3], b[at:at + 3], f"merge {at} of {len(a)} (seed {SEED})")
        self.assertEqual(wanted["model"]["vocab"], found["model"]["vocab"])
        for part in ["added_tokens", "normalizer", "pre_tokenizer"]:
            self.assertEqual(wanted[part], found[part])
        return len(b)

    def test_every_script(self):
        """Catches a wrong count or tie, or a word cut elsewhere, in megabytes of every script."""
        for size in [300, 2000, 20000]:
            with self.subTest(size=size):
                self.assertEqual(self.compare(size, ["corpus.txt"]), size - 256 - len(SPECIAL))

    def test_few_letters(self):
        """Catches another order among equals and miscounts in runs; and an end that comes too late or too early."""
        for size, least in [(400, 1), (6000, 1), (100000, 9)]:
            with self.subTest(size=size, least=least):
                self.compare(size, ["few.txt"], min_frequency=least)

    def test_splitters(self):
        """Catches a splitter that trains otherwise than the steps that the file names."""
        for splitter in SPLITTERS:
            with self.subTest(splitter=splitter):
                self.compare(3000, ["small.txt", "few.txt"], splitter)

    def test_documents(self):
        """Catches JSON lines that are cut at their line ends, and files of both kinds that are mixed up."""
        self.compare(5000, ["corpus.jsonl", "few.txt"])

    def test_any_form_and_threads_give_the_same(self):
        """Catches a result that depends on threads, on compression or on a folder in place of its files."""
        self.train("one", 3000, [self.path("small.txt"), self.path("few.txt")], "--threads", 1)
        os.makedirs(self.path("in/a"))
        with open(self.path("small.txt"), "rb") as f, gzip.open(self.path("in/a/small.txt.gz"), "wb") as out:
            shutil.copyfileobj(f, out)
        shutil.copy(self.path("few.txt"), self.path("in/few.txt"))
        self.train("many", 3000, [self.path("in")], "--threads", 5)
        for name in ["tokenizer.json", "tokenizer_config.json"]:
            self.assertEqual(self.read(self.path("one/" + name)), self.read(self.path("many/" + name)))

    def test_both_read_the_same_ids(self):
        """Catches a file that the library refuses, or that means something else there."""
        self.train("ids", 8000, [self.path("corpus.txt")])
        out, model = self.path("ids.jsonl"), self.path("ids")
        subprocess.run([self.python, os.path.join(HERE, "reference.py"), "json", model + "/tokenizer.json",
                        self.path("corpus.jsonl"), out], check=True)
        found = run("tokenize", "-m", model, "--jsonl", self.path("corpus.jsonl")).stdout.splitlines()
        with open(out, encoding="ascii") as wanted:
            for line, other in zip(wanted, found, strict=True):
                self.assertEqual(json.loads(line), json.loads(other)["ids"])
        code = ("import sys, tokenizers; t = tokenizers.Tokenizer.from_file(sys.argv[1]); "
                "print(t.encode('a<|pad|>b').ids == [0, *t.encode('a', add_special_tokens=False).ids, 2, "
                "*t.encode('b', add_special_tokens=False).ids], t.decode(t.encode('h\\u00e9 llo').ids))")
        done = subprocess.run([self.python, "-c", code, model + "/tokenizer.json"], capture_output=True, check=True)
        self.assertEqual(done.stdout.decode().strip(), "True h\u00e9 llo")

    def test_rare_words_are_forgotten_in_the_open(self):
        """Catches pruning that says nothing, or that depends on threads."""
        done = self.train("few1", 1000, [self.path("corpus.txt")], "--max-words", 5000, "--threads", 1, "--json")
        self.assertIn("rare words", done.stderr)
        report = json.loads(done.stdout)
        self.assertLessEqual(report["distinct_words"], 5000)
        self.assertGreater(report["forgotten_words"], 0)
        self.train("few2", 1000, [self.path("corpus.txt")], "--max-words", 5000, "--threads", 3)
        self.assertEqual(self.read(self.path("few1/tokenizer.json")), self.read(self.path("few2/tokenizer.json")))

    def test_refusals(self):
        """Catches a refusal that comes after the work, or says not what is wrong."""
        few = self.path("few.txt")
        self.write("empty.txt", "")
        rows = [(["-n", 257], "at least 264"), (["--special", "word"], "a word that text may hold"),
                (["--special", "<|a|>", "--eos-token", "<|b|>"], "<|b|>"), (["--splitter", "llama"], "llama3")]
        for options, says in rows:
            done = run("tokenizer", "train", few, "-o", self.path("no"), *options, status=2)
            self.assertIn(says, done.stderr)
        self.assertIn("-o FOLDER", run("tokenizer", "train", few, status=2).stderr)
        done = run("tokenizer", "train", self.path("empty.txt"), "-o", self.path("no"), status=1)
        self.assertIn("no text", done.stderr)
        self.assertFalse(os.path.exists(self.path("no")))

    def test_eval(self):
        """Catches figures that are not bytes through tokens, and rows that are mixed up."""
        self.train("small", 400, [self.path("few.txt")])
        self.train("large", 3000, [self.path("corpus.txt")])
        report = json.loads(run("tokenizer", "eval", "-m", self.path("small"), "-m", self.path("large"), "--json",
                                "letters=" + self.path("few.txt"), self.path("corpus.jsonl")).stdout)
        self.assertEqual([t["ids"] for t in report["tokenizers"]], [400, 3000])
        letters, corpus = report["texts"]
        with open(self.path("few.txt"), "rb") as f:
            few = f.read()
        self.assertEqual([letters["text"], letters["bytes"], letters["words"]], ["letters", len(few), len(few.split())])
        self.assertEqual(corpus["documents"], len(self.texts[::3]))
        for i, model in enumerate(["small", "large"]):
            ids = run("tokenize", "-m", self.path(model), "-f", self.path("few.txt")).stdout.split(",")
            row = letters["tokenizers"][i]
            self.assertEqual(row["tokens"], len(ids))
            self.assertAlmostEqual(row["bytes_per_token"], len(few) / len(ids))
            self.assertEqual(report["total"]["tokenizers"][i]["tokens"], len(ids) + corpus["tokenizers"][i]["tokens"])
        self.assertGreater(letters["tokenizers"][0]["bytes_per_token"], letters["tokenizers"][1]["bytes_per_token"])
        table = run("tokenizer", "eval", "-m", self.path("small"), "--files", self.path("few.txt"))
        self.assertIn("bytes per token", table.stdout)
        self.assertIn(f"{letters['tokenizers'][0]['bytes_per_token']:.3f}", table.stdout)
        self.assertIn("Cria carries none", table.stderr)
        self.assertIn("which tokenizers", run("tokenizer", "eval", self.path("few.txt"), status=2).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
