"""Tokenizer files for the comparison, made from published vocabularies.

GGUF metadata is read here by hand, so that what the program reads is compared with a second reading. The SentencePiece
model is written from the pieces and scores that llama.cpp publishes; tokenizer.json files are what the converters of
the tokenizers library would write.
"""
import json
import struct

MARK = "\u2581"
PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


class Gguf:
    """The metadata of a GGUF file as a dictionary; strings are bytes."""

    SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read(16 << 20)
        self.at = 8
        _, pairs = self.take("QQ")
        self.values = {}
        for _ in range(pairs):
            key = self.string().decode()
            self.values[key] = self.value(self.take("I")[0])

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def string(self):
        (n,) = self.take("Q")
        self.at += n
        return self.data[self.at - n:self.at]

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind == 9:
            of, n = self.take("IQ")
            return [self.string() for _ in range(n)] if of == 8 else list(self.take(f"{n}{self.SCALARS[of]}"))
        return self.take(self.SCALARS[kind])[0]

    def __getitem__(self, key):
        return self.values["tokenizer.ggml." + key]


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def run_of_bytes(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def number(field, value):
    return varint(field << 3) + varint(value)


def sentencepiece_model(gguf):
    """A model as Llama 2's: BPE, byte fallback, no normalisation, one space in front."""
    out = b""
    for piece, score, kind in zip(gguf["tokens"], gguf["scores"], gguf["token_type"]):
        out += run_of_bytes(1, run_of_bytes(1, piece) + b"\x15" + struct.pack("<f", score) + number(3, kind))
    trainer = number(3, 2) + number(4, len(gguf["tokens"])) + number(35, 1)
    trainer += number(40, 0) + number(41, 1) + number(42, 2)
    normalizer = run_of_bytes(1, b"identity") + number(3, 1) + number(4, 0) + number(5, 1)
    return out + run_of_bytes(2, trainer) + run_of_bytes(3, normalizer)


def write_json(path, added, vocab, merges, **parts):
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
             **parts.pop("model", {}),
             "vocab": vocab, "merges": merges}
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
             "pre_tokenizer": None, "post_processor": None, "decoder": None, **parts, "model": model}
    with open(path, "w", encoding="utf-8") as out:
        json.dump(whole, out, ensure_ascii=path.endswith("ascii.json"))


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(pattern, behaviour="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behaviour, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def byte_level_json(path, gguf, pre_tokenizer, more_added=(), **model):
    """A tokenizer.json of a byte-level GGUF vocabulary."""
    tokens = [t.decode() for t in gguf["tokens"]]
    added = [{"id": i, "content": t, **PLAIN} for i, t in enumerate(tokens) if gguf["token_type"][i] == 3]
    merges = [m.decode() for m in gguf["merges"]]
    if path.endswith("pairs.json"):
        merges = [m.split(" ") for m in merges]
    vocab = {t: i for i, t in enumerate(tokens)}
    for i, token in enumerate(more_added):
        added.append({"id": len(tokens) + i, **PLAIN, **token})
    write_json(path, added, vocab, merges, pre_tokenizer=pre_tokenizer, decoder=BYTE_LEVEL, model=model)


def score_merges(tokens, scores):
    """Pairs of pieces that join to a piece, the best score first, as the converter of Llama 2 derives them."""
    ids = {t: i for i, t in enumerate(tokens)}
    merges = []
    for i, token in enumerate(tokens):
        pairs = [(token[:k], token[k:]) for k in range(1, len(token)) if token[:k] in ids and token[k:] in ids]
        merges += [(-scores[i], ids[left], ids[right], f"{left} {right}") for left, right in pairs]
    merges.sort(key=lambda m: m[0])
    return [m[3] for m in merges]


def llama2_json(path, gguf, metaspace, more_added=()):
    """Llama 2's tokenizer.json: the older form with normalisers, or the newer one with Metaspace."""
    tokens = [t.decode() for t in gguf["tokens"]]
    added = [{"id": i, "content": tokens[i], **PLAIN} for i in range(3)]
    for i, token in enumerate(more_added):
        added.append({"id": len(tokens) + i, **PLAIN, **token})
    steps = [{"type": "Prepend", "prepend": MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]
    decoder = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": MARK}, "content": " "},
                                                {"type": "ByteFallback"}, {"type": "Fuse"},
                                                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    parts = {"normalizer": {"type": "Sequence", "normalizers": steps}, "decoder": decoder}
    if metaspace:
        step = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": metaspace, "split": False}
        parts = {"pre_tokenizer": step, "decoder": decoder}
    vocab = {t: i for i, t in enumerate(tokens)}
    merges = score_merges(tokens, gguf["scores"])
    model = {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    write_json(path, added, vocab, merges, model=model, **parts)
