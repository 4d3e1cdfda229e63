"""What the tests of the program share: running ./cria, and a tiny model with a tokenizer and a chat template.

The model is one of tests/golden with a byte-level tokenizer written here: 331 ids, seeded random weights, so its
texts are noise, but the same noise everywhere. The data folder of every run is a temporary one: no test sees or
changes the user's models.
"""

import atexit
import json
import os
import shutil
import subprocess
import tempfile

CRIA = os.environ.get("CRIA", "./cria")
SOURCE = os.environ.get("CRIA_SOURCE_DIR", os.getcwd())

FOLDER = tempfile.mkdtemp(prefix="cria-cmd-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

ENVIRONMENT = dict(
    os.environ, XDG_DATA_HOME=os.path.join(FOLDER, "data"), HOME=FOLDER, LC_ALL="C.UTF-8", TERM="xterm"
)

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def run(*arguments, stdin=None, timeout=120, **more):
    """Runs the program; stdin is text or None. Returns the completed process with text output."""
    return subprocess.run(
        [CRIA, *map(str, arguments)],
        input=stdin if stdin is not None else "",
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env=ENVIRONMENT,
        timeout=timeout,
        **more,
    )


def byte_alphabet():
    """The characters that stand for the bytes 0 to 255 in byte-level vocabularies."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def tokenizer_json(n_vocab):
    specials = ["<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
    vocab = {text: i for i, text in enumerate(specials)}
    for character in byte_alphabet().values():
        vocab[character] = len(vocab)
    merges = []
    for first in "etaoinshr":
        for second in "etaoinshr":
            if len(vocab) < n_vocab and first + second not in vocab:
                vocab[first + second] = len(vocab)
                merges.append(f"{first} {second}")
    assert len(vocab) == n_vocab
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i, text in enumerate(specials)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def tiny_model():
    """A folder with the model; made once a process."""
    folder = os.path.join(FOLDER, "tiny")
    if os.path.isdir(folder):
        return folder
    shutil.copytree(os.path.join(SOURCE, "tests/golden/models/gqa2-odd-sharded-bf16"), folder)
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(tokenizer_json(331), f)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
        json.dump({"bos_token": "<s>", "eos_token": "</s>", "chat_template": TEMPLATE}, f)
    return folder


def write(name, text):
    """A file in the temporary folder; returns its path."""
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def without_timings(result):
    return {key: value for key, value in result.items() if key != "timings"}
