#!/usr/bin/env python3
"""Lays out what the template tests read from published packages.

    python3 tests/template/unpack.py FOLDER

FOLDER gets the .jinja files of llama-cpp-python's source package, real.json with what they are expected to give, and
the vocabularies llama3.model and llama4.model of llama-models. The packages are fetched once (tests/kit/fetch.py).
"""
import hashlib
import lzma
import os
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "kit"))
import fetch  # noqa: E402

SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
TEMPLATES = "llama_cpp_python-0.3.36/vendor/llama.cpp/models/templates/"


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    part = f"{path}.{os.getpid()}"
    with open(part, "wb") as f:
        f.write(data)
    os.replace(part, path)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    archive = fetch.archive_of("llama_cpp_python", "0.3.36", source=True)
    found = hashlib.sha256(read(archive)).hexdigest()
    if found != SHA256:
        sys.exit(f"{archive}: expected SHA-256 {SHA256}, found {found}")
    n = 0
    with tarfile.open(archive) as members:
        for member in members:
            name = member.name[len(TEMPLATES):]
            if member.isfile() and member.name.startswith(TEMPLATES) and name.endswith(".jinja") and "/" not in name:
                write(os.path.join(folder, name), members.extractfile(member).read())
                n += 1
    for name in ("llama3", "llama4"):
        path = fetch.member("llama_models", "0.3.0", f"llama_models/{name}/tokenizer.model")
        write(os.path.join(folder, name + ".model"), read(path))
    expected = os.path.join(HERE, "real.json.xz")
    if os.path.exists(expected):
        write(os.path.join(folder, "real.json"), lzma.decompress(read(expected)))
    print(f"{n} templates in {folder}")


if __name__ == "__main__":
    main()
