"""A reader of data folders that shares nothing with Cria's: docs/FORMATS.md, "Data folder", in Python.

It also makes what the tests need: documents, a tokenizer in which a byte is a token, packages.
"""
import hashlib
import json
import os
import struct


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Folder:
    """Everything of a folder, checked against its manifest while it is read."""

    def __init__(self, path):
        self.path = path
        raw = self.read("manifest.json")
        assert raw[-78:-67] == b',"sha256":"', raw[-78:]
        assert raw[-67:-3].decode() == sha256(raw[:-78])
        self.manifest = json.loads(raw)
        listed = {f["name"] for f in self.manifest["files"]}
        assert listed | {"manifest.json"} == set(os.listdir(path)), os.listdir(path)
        for f in self.manifest["files"]:
            data = self.read(f["name"])
            assert (len(data), sha256(data)) == (f["bytes"], f["sha256"]), f["name"]
        self.read_ids()
        self.documents = list(struct.iter_unpack("<QIHHQ", self.read("documents.bin")))
        leaves = self.read("leaves.bin")
        self.leaves = [leaves[i:i + 32] for i in range(0, len(leaves), 32)]

    def read(self, name):
        with open(os.path.join(self.path, name), "rb") as f:
            return f.read()

    def read_ids(self):
        code = {2: "H", 4: "I"}[self.manifest["id_bytes"]]
        self.ids = []
        for i, end in enumerate(self.manifest["shard_ends"]):
            data = self.read(f"shard-{i:05d}.bin")
            self.ids += struct.unpack(f"<{len(data) // self.manifest['id_bytes']}{code}", data)
            assert len(self.ids) == end

    def document_ids(self, i):
        first, n = self.documents[i][:2]
        return self.ids[first:first + n]

    def rows(self, seq_len):
        """Each row as a list of (first id, how many)."""
        ends = struct.unpack(f"<{len(self.read(f'rows-{seq_len}.bin')) // 8}Q", self.read(f"rows-{seq_len}.bin"))
        pieces = [p[:2] for p in struct.iter_unpack("<QII", self.read(f"pieces-{seq_len}.bin"))]
        return [pieces[a:b] for a, b in zip((0,) + ends, ends)]


def merkle_root(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + merkle_root(leaves[:k]) + merkle_root(leaves[k:])).digest()


def merkle_verify(leaf, place, n, path, root):
    """RFC 9162, section 2.1.3.2: the way up that a verifier takes who has the path alone."""
    fn, sn, r = place, n - 1, hashlib.sha256(b"\0" + leaf).digest()
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\1" + p + r).digest()
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            r = hashlib.sha256(b"\1" + r + p).digest()
        fn >>= 1
        sn >>= 1
    return sn == 0 and r == root


def byte_tokenizer(path):
    """A byte is a token: ids 0 to 255 by the byte, then begin and end of text."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    vocab = {chr(b if b in plain else next(others)): b for b in range(256)}
    added = [
        {"id": 256 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for i, text in enumerate(["<|begin_of_text|>", "<|end_of_text|>"])
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab, "merges": []}
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
                   "pre_tokenizer": level, "post_processor": None, "decoder": level, "model": model}, f)
