"""`cria data build`, `has` and `check` against a reader of the folder that shares nothing with them.

Documents come from a seeded generator; what should stay is worked out here from their texts. Catches: ids, rows or
digests other than docs/FORMATS.md says; a proof that only its maker believes; options that have no effect; a folder
that is half there after a kill.
"""
import gzip
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import data_folder  # noqa: E402

CRIA = os.path.abspath(os.environ.get("CRIA", "./cria"))
SEED = 5
WORDS = "the of and to in that was his he it with is for as had you not be on at by".split()


class DataTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="cria-data-")
        data_folder.byte_tokenizer(cls.at("tokenizer.json"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def at(cls, name):
        return os.path.join(cls.folder, name)

    def put(self, name, text):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return self.at(name)

    def cria(self, *arguments, fails=False):
        done = subprocess.run([CRIA, *arguments], capture_output=True, text=True, cwd=self.folder, timeout=120)
        self.assertEqual(done.returncode != 0, fails, done.stderr)
        return done.stderr if fails else done.stdout

    def build(self, out, *arguments):
        return json.loads(self.cria("data", "build", *arguments, "-m", "tokenizer.json", "-o", out, "--json"))

    def check_rows(self, folder, seq_len):
        """Every id but a document's last is an input once, of a piece inside its document, in rows that are short
        enough and belong to one source."""
        owner, seen = {}, set()
        for i, (first, n, *_) in enumerate(folder.documents):
            owner.update((first + k, i) for k in range(n - 1))
        rows = folder.rows(seq_len)
        packing = [p for p in folder.manifest["packings"] if p["seq_len"] == seq_len][0]
        for group in packing["groups"]:
            for row in rows[group["first_row"]:group["first_row"] + group["rows"]]:
                self.assertLessEqual(sum(n for _, n in row), seq_len)
                for first, n in row:
                    inside = range(first, first + n)
                    document = folder.documents[owner[first]]
                    self.assertEqual({owner[k] for k in inside}, {owner[first]})
                    self.assertEqual((document[2], bool(document[3])), (group["source"], group["held_out"]))
                    self.assertTrue(seen.isdisjoint(inside))
                    seen.update(inside)
        self.assertEqual(seen, set(owner))

    def test_folder_is_what_the_format_says(self):
        rng = random.Random(SEED)
        texts = [" ".join(rng.choices(WORDS, k=rng.randrange(1, 60))) + rng.choice(["", "\r\n", "\n\nß 🦙"])
                 for _ in range(400)]
        lines = "".join(json.dumps({"text": t}) + "\n" for t in texts[:300])
        self.put("web/a.jsonl", lines)
        self.put("web/deep/b.jsonl.gz", gzip.compress("".join(json.dumps({"text": t}) + "\n"
                                                              for t in texts[300:390]).encode()))
        self.put("novel.txt", "<|cut|>".join(texts[390:]))
        config = "\n".join(["sources:", "  - path: web", "    weight: 3", "    name: pages", "  - paths: [novel.txt]",
                            "    held-out: true", '    separator: "<|cut|>"', "tokenizer: tokenizer.json",
                            "seq-len: [16, 100]", "near_duplicates: 0", "held-out: 0.1", "shard-size: 64KiB", ""])
        self.put("corpus.yaml", config)
        said = json.loads(self.cria("data", "build", "corpus.yaml", "-o", "format", "--json"))
        folder = data_folder.Folder(self.at("format"))
        expected = {t.replace("\r\n", "\n").encode() for t in texts}
        self.assertEqual(said["documents_read"], 400)
        self.assertEqual(sorted(folder.leaves),
                         sorted(bytes.fromhex(data_folder.sha256(t)) for t in expected))
        self.assertEqual(data_folder.merkle_root(folder.leaves).hex(), folder.manifest["merkle_root"])
        self.assertEqual(said["merkle_root"], folder.manifest["merkle_root"])
        found, held_out = set(), 0
        for i, (_, n, source, is_held_out, n_bytes) in enumerate(folder.documents):
            ids = folder.document_ids(i)
            self.assertEqual((ids[0], ids[-1], n_bytes), (256, 257, n - 2))
            text = bytes(ids[1:-1])
            found.add(text)
            place = int(data_folder.sha256(text)[:16], 16) / 2**64
            self.assertEqual(bool(is_held_out), source == 1 or place < 0.1)
            held_out += is_held_out
        self.assertEqual(found, expected)
        self.assertEqual(said["held_out_documents"], held_out)
        self.assertEqual([s["weight"] for s in folder.manifest["sources"]], [3, 0])
        for seq_len in (16, 100):
            self.check_rows(folder, seq_len)
        self.assertIn("whole", self.cria("data", "check", "format"))

    def test_proofs_convince_a_stranger(self):
        texts = [f"document number {i}" for i in range(37)]
        self.put("proofs.jsonl", "".join(json.dumps({"text": t}) + "\n" for t in texts))
        self.build("proofs", "--source", "proofs.jsonl", "--near-duplicates", "0")
        root = bytes.fromhex(data_folder.Folder(self.at("proofs")).manifest["merkle_root"])
        for i in range(37):
            answer = json.loads(self.cria("data", "has", "proofs", texts[i], "--json"))
            self.assertTrue(answer["is_in"])
            leaf = answer["leaf"]
            self.assertEqual(leaf["sha256"], data_folder.sha256(texts[i].encode()))
            path = [bytes.fromhex(p) for p in leaf["path"]]
            self.assertTrue(data_folder.merkle_verify(bytes.fromhex(leaf["sha256"]), leaf["place"], 37, path, root))
        for other in ("document number 99", "", "nothing", "x" * 1000):
            answer = json.loads(self.cria("data", "has", "proofs", other, "--json"))
            digest = data_folder.sha256(other.encode())
            self.assertFalse(answer["is_in"])
            sides = [answer[s] for s in ("before", "after") if s in answer]
            for side in sides:
                path = [bytes.fromhex(p) for p in side["path"]]
                self.assertTrue(data_folder.merkle_verify(bytes.fromhex(side["sha256"]), side["place"], 37, path, root))
            if len(sides) == 2:
                self.assertEqual(sides[1]["place"], sides[0]["place"] + 1)
                self.assertTrue(sides[0]["sha256"] < digest < sides[1]["sha256"])
            elif "before" in answer:
                self.assertTrue(sides[0]["place"] == 36 and sides[0]["sha256"] < digest)
            else:
                self.assertTrue(sides[0]["place"] == 0 and digest < sides[0]["sha256"])

    def test_filters_and_cleaning(self):
        rows = ["ok text", "12345 67890 11111", "a\nb\na\na\na", "x" * 500, "tail  \t\nof line \n\n\n\nend",
                "bad \udcff\udcfe"]
        raw = b"\x00".join(r.encode("utf-8", "surrogateescape") for r in rows)
        self.put("filters.txt", raw)
        said = self.build("filters", "--source", "filters.txt", "--separator", "\n\n\n\n", "--near-duplicates", "0")
        self.assertEqual((said["documents_read"], said["max_replaced"], said["malformed_bytes"]), (2, 1, 2))
        self.put("filters.jsonl", "".join(json.dumps({"body": r}) + "\n" for r in rows[:5]))
        said = self.build("filters2", "--source", "filters.jsonl", "--text-field", "body",
                          "--filter", "min_letters=0.5", "--filter", "max_repeated_lines=0.3",
                          "--filter", "max_bytes=499", "--clean", "line_tails", "--clean", "empty_lines",
                          "--near-duplicates", "0")
        self.assertEqual((said["min_letters"], said["max_repeated_lines"], said["max_bytes"]), (1, 1, 1))
        folder = data_folder.Folder(self.at("filters2"))
        self.assertEqual({bytes(folder.document_ids(i)[1:-1]) for i in range(2)}, {b"ok text", b"tail\nof line\n\nend"})

    def test_wrong_options_are_explained(self):
        self.put("one.txt", "some text")
        cases = [
            (["--filter", "min_byte=3"], "--filter min_byte=3"),
            (["--clean", "everything"], "--clean everything"),
            (["--seq-len", "64,16"], "ascend"),
            (["--source", "none.txt"], "none.txt"),
            (["--source", "one=one.txt", "--source", "one=one.txt"], "two sources are named 'one'"),
            (["--filter", "min_bytes=100"], "no document is left"),
        ]
        for arguments, part in cases:
            said = self.cria("data", "build", "--source", "one.txt", "-m", "tokenizer.json", "-o", "wrong", *arguments,
                             fails=True)
            self.assertIn(part, said)
            self.assertFalse(os.path.exists(self.at("wrong")) or os.path.exists(self.at("wrong.building")))
        self.put("wrong.yaml", "sources:\n  - path: one.txt\n    wieght: 2\n")
        self.assertIn("wrong.yaml, line 3: unknown key \"wieght\"", self.cria("data", "build", "wrong.yaml", "-m",
                                                                            "tokenizer.json", "-o", "w", fails=True))
        self.put("wrong.yaml", "sources:\n  - path: one.txt\n    weight: 2\n  - path: tokenizer.json\n")
        self.assertIn("1 sources have a weight and 1 have none", self.cria("data", "build", "wrong.yaml", "-m",
                                                                          "tokenizer.json", "-o", "w", fails=True))
        self.put("wrong.yaml", "seq-lem: 16\n")
        self.assertIn("seq-len", self.cria("data", "build", "wrong.yaml", "-o", "w", fails=True))

    def test_killed_builds_leave_nothing_that_counts(self):
        rng = random.Random(SEED + 1)
        text = "\n".join(" ".join(rng.choices(WORDS, k=12)) for _ in range(200000))
        self.put("big.txt", text)
        arguments = ["data", "build", "--source", "big.txt", "-m", "tokenizer.json", "-o", "killed",
                     "--separator", "\n", "--near-duplicates", "0", "--threads", "2"]
        for delay in (0.02, 0.1, 0.2, 0.3, 0.4):
            with subprocess.Popen([CRIA, *arguments], cwd=self.folder, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as child:
                time.sleep(delay)
                child.send_signal(signal.SIGKILL)
            if os.path.exists(self.at("killed")):
                self.cria("data", "check", "killed")
                shutil.rmtree(self.at("killed"))
        self.cria(*arguments)
        self.assertFalse(os.path.exists(self.at("killed.building")))
        self.cria("data", "check", "killed")
        self.assertIn("is there already", self.cria(*arguments, fails=True))

    def test_full_disks_leave_nothing(self):
        rng = random.Random(SEED + 2)
        self.put("full.txt", "\n".join(" ".join(rng.choices(WORDS, k=12)) for _ in range(20000)))
        arguments = ["data", "build", "--source", "full.txt", "-m", "tokenizer.json", "-o", "full", "--separator", "\n",
                     "--seq-len", "32"]
        failed = 0
        for limit in (1000, 20000, 100000, 300000, 1000000, 3000000, 100000000):
            done = subprocess.run(
                [CRIA, *arguments], capture_output=True, text=True, cwd=self.folder, timeout=120,
                preexec_fn=lambda n=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)))
            if done.returncode == 0:
                break
            failed += 1
            self.assertIn("cannot be written", done.stderr)
            self.assertFalse([f for f in os.listdir(self.folder) if f.startswith("full") and f != "full.txt"])
        self.assertGreater(failed, 3)
        self.cria("data", "check", "full")

    def test_check_names_what_is_damaged(self):
        self.put("check.txt", "some text to be damaged")
        self.build("check", "--source", "check.txt")
        for name in sorted(os.listdir(self.at("check"))):
            with open(self.at(f"check/{name}"), "r+b") as f:
                data = f.read()
                f.seek(len(data) // 2)
                f.write(bytes([data[len(data) // 2] ^ 4]))
            self.assertIn(name, self.cria("data", "check", "check", fails=True))
            with open(self.at(f"check/{name}"), "wb") as f:
                f.write(data)
        self.cria("data", "check", "check")


if __name__ == "__main__":
    unittest.main()
