#!/usr/bin/env python3
"""Fetches the real chat templates for templates_test and unpacks what they are expected to give.

    python3 tests/template/fetch.py FOLDER

FOLDER gets the .jinja files of llama-cpp-python's source package, and real.json. The package comes from the index
that this machine's pip knows; its SHA-256 is checked; nothing of it is built or run but what pip asks for its
metadata. It stays in FOLDER, so a second run needs no network.
"""

import hashlib
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "llama-cpp-python==0.3.36"
ARCHIVE = "llama_cpp_python-0.3.36.tar.gz"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
TEMPLATES = "llama_cpp_python-0.3.36/vendor/llama.cpp/models/templates/"


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            h.update(block)
    return h.hexdigest()


def fetch(folder):
    """The archive's path; from the folder where it is there already."""
    path = os.path.join(folder, ARCHIVE)
    if os.path.exists(path) and digest(path) == SHA256:
        return path
    with tempfile.TemporaryDirectory(dir=folder) as there:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--no-binary",
                "llama-cpp-python",
                "--dest",
                there,
                PACKAGE,
            ],
            check=True,
        )
        found = digest(os.path.join(there, ARCHIVE))
        if found != SHA256:
            sys.exit(f"{ARCHIVE}: expected SHA-256 {SHA256}, found {found}")
        os.replace(os.path.join(there, ARCHIVE), path)
    return path


def write(path, data):
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.replace(path + ".new", path)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    n = 0
    with tarfile.open(fetch(folder)) as archive:
        for member in archive:
            name = member.name[len(TEMPLATES) :]
            if member.isfile() and member.name.startswith(TEMPLATES) and name.endswith(".jinja") and "/" not in name:
                write(os.path.join(folder, name), archive.extractfile(member).read())
                n += 1
    expected = os.path.join(os.path.dirname(os.path.abspath(__file__)), "real.json.xz")
    if os.path.exists(expected):
        with open(expected, "rb") as f:
            write(os.path.join(folder, "real.json"), lzma.decompress(f.read()))
    print(f"{n} templates in {folder}")


if __name__ == "__main__":
    main()
