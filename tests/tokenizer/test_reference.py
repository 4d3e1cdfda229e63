"""`cria tokenize` against the reference libraries: tiktoken, tokenizers, sentencepiece; no id may differ.

Catches any change of a splitter, a merge, a table or a reader that changes ids. The corpus is a million bytes that
make_corpus.py makes; the libraries (a few MB) and the vocabularies of Llama 2, 3 and 4 come from the package index
through pip and stay in build/fetched. Golden rows and llama.cpp's test vectors are compared as well.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kit")]
sys.dont_write_bytecode = True
import fetch  # noqa: E402
import make_corpus  # noqa: E402
import vocabularies  # noqa: E402

CRIA = os.path.abspath(os.environ.get("CRIA", "./cria"))
LIBRARIES = ["tiktoken==0.14.0", "tokenizers==0.23.3", "sentencepiece==0.2.3"]
LLAMA_CPP = ("llama_cpp_python", "0.3.36")
CORPUS_BYTES = 1000000
SMALL_BYTES = 150000
SEED = 1

# What other models use: none of these has a splitter by hand.
PATTERNS = {
    "qwen2": (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
              r"\s+(?!\S)|\s+"),
    "words": r"\p{Lu}?\p{Ll}+|\p{M}+",
    "letters": r"[\p{L}\p{M}]+|\p{Nd}{1,2}|\s",
}
BEHAVIOURS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def write_corpus(path, size, seed):
    with open(path, "w", encoding="ascii") as out:
        for text in make_corpus.texts(size, seed):
            out.write(json.dumps({"text": text}) + "\n")


def read_lines(path):
    with open(path, encoding="ascii") as lines:
        return [json.loads(line) for line in lines]


def cria_ids(model, corpus, *options):
    command = [CRIA, "tokenize", "-m", model, "--jsonl", corpus, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
    return [json.loads(line)["ids"] for line in done.stdout.splitlines()]


class Reference(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="cria-reference-")
        cls.python = fetch.environment("tokenizers", LIBRARIES)
        cls.corpus = cls.path("corpus.jsonl")
        cls.small = cls.path("small.jsonl")
        write_corpus(cls.corpus, CORPUS_BYTES, SEED)
        write_corpus(cls.small, SMALL_BYTES, SEED + 1)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    @staticmethod
    def llama3():
        return fetch.member("llama_models", "0.3.0", "llama_models/llama3/tokenizer.model")

    @staticmethod
    def llama4():
        return fetch.member("llama_models", "0.3.0", "llama_models/llama4/tokenizer.model")

    @staticmethod
    def llama_cpp(name):
        return fetch.member("llama_cpp_python", "0.3.36", f"llama.cpp/models/ggml-vocab-{name}", source=True)

    @staticmethod
    def smollm2():
        subprocess.run([CRIA, "pull", "smollm2"], check=True, capture_output=True)
        listed = subprocess.run([CRIA, "list", "--json"], check=True, capture_output=True, text=True)
        return next(model["path"] for model in json.loads(listed.stdout) if model["name"] == "smollm2")

    def compare(self, model, kind, file, corpus=None, options=()):
        """The program with `model` and the library with `file` have to give the same ids for every text."""
        corpus = corpus or self.corpus
        out = self.path("ids.jsonl")
        subprocess.run([self.python, os.path.join(HERE, "reference.py"), kind, file, corpus, out], check=True)
        texts = [line["text"] for line in read_lines(corpus)]
        wanted, found = read_lines(out), cria_ids(model, corpus, *options)
        self.assertEqual([len(texts)] * 2, [len(wanted), len(found)])
        differing = [i for i in range(len(texts)) if found[i] != wanted[i]]
        for i in differing[:3]:
            pairs = enumerate(zip(found[i], wanted[i]))
            at = next((k for k, (a, b) in pairs if a != b), min(len(found[i]), len(wanted[i])))
            print(f"{texts[i][:80]!r}: id {at}: found {found[i][at:at + 8]}, expected {wanted[i][at:at + 8]}",
                  file=sys.stderr)
        self.assertEqual(len(differing), 0, f"{model} and {file}: of {len(texts)} texts (seed {SEED})")

    def test_llama3_tiktoken(self):
        self.compare(self.llama3(), "llama3", self.llama3())

    def test_llama4_tiktoken(self):
        self.compare(self.llama4(), "llama4", self.llama4())

    def test_llama2_sentencepiece(self):
        spm, model = self.llama_cpp("llama-spm.gguf"), self.path("tokenizer.model")
        with open(model, "wb") as out:
            out.write(vocabularies.sentencepiece_model(vocabularies.Gguf(spm)))
        self.compare(model, "sentencepiece", model)
        self.compare(spm, "sentencepiece", model)
        gguf = vocabularies.Gguf(spm)
        for i, piece in enumerate(["<tool>", "\u2581<x>", "ha\u2581", "<tool>y"]):
            gguf["tokens"].append(piece.encode())
            gguf["scores"].append(-float(i))
            gguf["token_type"].append(4)
        with open(model, "wb") as out:
            out.write(vocabularies.sentencepiece_model(gguf))
        corpus = self.path("user.jsonl")
        r = make_corpus.Random(SEED)
        with open(corpus, "w", encoding="ascii") as out:
            for _ in range(3000):
                pieces = ["<tool>", "<x>", " <x>", "ha", "ha ", "<tool>y", " ", "  ", "a", "ab", "\u2581", "\n"]
                out.write(json.dumps({"text": "".join(r.pick(pieces) for _ in range(r.below(12)))}) + "\n")
        self.compare(model, "sentencepiece", model, corpus)

    def test_smollm2(self):
        """The GGUF file, and tokenizer.json in the forms in which it is written."""
        path = self.smollm2()
        gguf = vocabularies.Gguf(path)
        digits = {"type": "Digits", "individual_digits": True}
        steps = vocabularies.sequence(digits, {**vocabularies.BYTE_LEVEL, "use_regex": True})
        for name in ["smollm2.json", "pairs.json", "ascii.json"]:
            vocabularies.byte_level_json(self.path(name), gguf, steps)
        self.compare(path, "json", self.path("smollm2.json"))
        self.compare(self.path("smollm2.json"), "json", self.path("smollm2.json"))
        for name in ["pairs.json", "ascii.json"]:
            self.compare(self.path(name), "json", self.path(name), self.small)

    def test_long_pieces(self):
        """Pieces far beyond the 16 KiB that are merged at once: where chunks meet nothing may show."""
        corpus = self.path("long.jsonl")
        r = make_corpus.Random(SEED)
        alphabets = ["a", "ab", "abc", "the", "etaoinshrdlu", "aA", "=-", " \n", "\n", "\u4e2d\u6587\u5b57", "\u02b0A",
                     "\U0001f469\u200d", "e\u0301", "\u0430\u0431\u0432", "<>", "\u2581a", "ha ", "0123456789", " "]
        with open(corpus, "w", encoding="ascii") as out:
            for alphabet in alphabets:
                out.write(json.dumps({"text": "".join(r.pick(alphabet) for _ in range(60000))}) + "\n")
                out.write(json.dumps({"text": alphabet * (50001 // len(alphabet)) + "y"}) + "\n")
        spm, model = self.llama_cpp("llama-spm.gguf"), self.path("long.model")
        with open(model, "wb") as out:
            out.write(vocabularies.sentencepiece_model(vocabularies.Gguf(spm)))
        vocabularies.byte_level_json(self.path("long.json"), vocabularies.Gguf(self.smollm2()), vocabularies.BYTE_LEVEL)
        self.compare(self.llama3(), "llama3", self.llama3(), corpus)
        self.compare(self.llama4(), "llama4", self.llama4(), corpus)
        self.compare(model, "sentencepiece", model, corpus)
        self.compare(self.path("long.json"), "json", self.path("long.json"), corpus)

    def test_other_patterns(self):
        """Patterns without a splitter by hand run in Oniguruma; what becomes of matches is the file's to say."""
        gguf = vocabularies.Gguf(self.smollm2())
        path = self.path("pattern.json")
        rows = [("qwen2", "Isolated", False), ("words", "Removed", True)]
        rows += [("words", behaviour, invert) for behaviour in BEHAVIOURS[1:] for invert in (False, True)]
        rows += [("letters", behaviour, False) for behaviour in BEHAVIOURS]
        for name, behaviour, invert in rows:
            with self.subTest(pattern=name, behaviour=behaviour, invert=invert):
                step = vocabularies.split(PATTERNS[name], behaviour, invert)
                vocabularies.byte_level_json(path, gguf, vocabularies.sequence(step, vocabularies.BYTE_LEVEL))
                self.compare(path, "json", path, self.small)

    def test_steps(self):
        """Chains of steps, texts as patterns, runs of digits."""
        gguf = vocabularies.Gguf(self.smollm2())
        path = self.path("steps.json")
        runs = {"type": "Digits", "individual_digits": False}
        text = {"type": "Split", "pattern": {"String": "a.b"}, "behavior": "MergedWithNext", "invert": False}
        e = {"type": "Split", "pattern": {"String": "e"}, "behavior": "MergedWithPrevious", "invert": False}
        pattern = {**vocabularies.BYTE_LEVEL, "use_regex": True}
        plain = vocabularies.BYTE_LEVEL
        for steps in [[runs, pattern], [text, e, pattern], [runs, e, plain], [plain]]:
            with self.subTest(steps=steps):
                vocabularies.byte_level_json(path, gguf, vocabularies.sequence(*steps), ignore_merges=len(steps) == 2)
                self.compare(path, "json", path, self.small)

    def test_added_tokens(self):
        """Special tokens where the text may spell them; tokens that swallow spaces or stand alone."""
        gguf = vocabularies.Gguf(self.smollm2())
        word, twice, single = "h\u0101", "h\u0101h\u0101", "d\u00e9r"
        added = [{"content": "<l>", "lstrip": True}, {"content": "<r>", "rstrip": True},
                 {"content": "<both>", "lstrip": True, "rstrip": True}, {"content": word, "special": False},
                 {"content": twice, "special": False, "normalized": True},
                 {"content": single, "special": False, "single_word": True},
                 {"content": "<|\u00e9", "special": False}, {"content": "<|im", "special": True}]
        path, corpus = self.path("added.json"), self.path("added.jsonl")
        steps = vocabularies.sequence({**vocabularies.BYTE_LEVEL, "use_regex": True})
        vocabularies.byte_level_json(path, gguf, steps, added)
        r = make_corpus.Random(SEED)
        pieces = ["<l>", "<r>", "<both>", word, twice, single, "un" + single, single + "1",
                  "_" + single, single + "\u0301",
                  f" {single} ", "<|\u00e9", "<|im_start|>", "<|im_end|>", "<|im", "<|", "<", "<|endoftext|>",
                  " ", "  ", "\n", "\u3000", "\u00a0", "\u200b", "x", "."]
        with open(corpus, "w", encoding="ascii") as out:
            for _ in range(4000):
                out.write(json.dumps({"text": "".join(r.pick(pieces) for _ in range(1 + r.below(12)))}) + "\n")
        self.compare(path, "json-special", path, corpus, ["--special"])
        self.compare(path, "json-special", path, self.small, ["--special"])

    def test_llama2_json(self):
        """Merges derived from scores; normalisers and Metaspace in all their forms."""
        gguf = vocabularies.Gguf(self.llama_cpp("llama-spm.gguf"))
        added = [{"content": "[INST]", "special": False, "normalized": True}, {"content": "<step>", "special": False}]
        path = self.path("llama2.json")
        for metaspace in [None, "first", "always", "never"]:
            with self.subTest(metaspace=metaspace):
                vocabularies.llama2_json(path, gguf, metaspace, added)
                self.compare(path, "json-special", path, self.small, ["--special"])
                if metaspace in (None, "first"):
                    self.compare(path, "json", path)

    def test_llama_cpp_vectors(self):
        """The vectors that llama.cpp publishes beside its vocabularies."""
        for name in ["llama-bpe", "llama-spm", "gpt-2"]:
            gguf, texts, ids = (self.llama_cpp(name + ending) for ending in (".gguf", ".gguf.inp", ".gguf.out"))
            with open(texts, encoding="utf-8", newline="") as f:
                texts = f.read().split("\n__ggml_vocab_test__\n")
            with open(ids, encoding="ascii") as f:
                wanted = [[int(i) for i in line.split()] for line in f.read().splitlines()]
            corpus = self.path(name + ".jsonl")
            with open(corpus, "w", encoding="ascii") as out:
                out.writelines(json.dumps({"text": text}) + "\n" for text in texts[:len(wanted)])
            self.assertGreater(len(wanted), 40)
            for text, a, b in zip(texts, cria_ids(gguf, corpus), wanted):
                self.assertEqual(a, b, (name, text))

    def test_golden_rows(self):
        """Ids that were written down from the published files, so that library and program cannot drift together."""
        rows = read_lines(os.path.join(HERE, "golden.jsonl"))
        corpus = self.path("golden.jsonl")
        with open(corpus, "w", encoding="ascii") as out:
            out.writelines(json.dumps({"text": row["text"]}) + "\n" for row in rows)
        for family, model in [("llama3", self.llama3()), ("llama4", self.llama4())]:
            for row, found in zip(rows, cria_ids(model, corpus)):
                if family in row:
                    self.assertEqual(found, row[family], (family, row["text"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
