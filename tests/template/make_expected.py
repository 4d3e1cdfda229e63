#!/usr/bin/env python3
"""Writes the expected results of the template tests with the real jinja2 and transformers.

    python3 -m venv V && V/bin/pip install jinja2==3.1.6 transformers==5.23.0
    python3 tests/template/unpack.py build/fetched/templates
    V/bin/python tests/template/make_expected.py build/fetched/templates

fills in tests/template/cases.json and writes tests/template/real.json.xz. README.md says where the templates come
from.
"""

import hashlib
import json
import lzma
import os
import sys

import dialogues
from reference import render

HERE = os.path.dirname(os.path.abspath(__file__))


def one(source, variables):
    text, error = render(source, variables)
    return {"text": text} if error is None else {"error": error}


def write_cases():
    """Fills in `text` or `error` of each row of cases.json; a new row has group, template and maybe variables."""
    path = os.path.join(HERE, "cases.json")
    with open(path, encoding="utf-8") as f:
        old = json.load(f)
    rows = []
    for case in old["cases"]:
        row = {key: case[key] for key in ("group", "template", "variables") if key in case}
        row.update(one(row["template"], row.get("variables", old["data"])))
        rows.append(row)
    with open(path, "w", encoding="utf-8") as f:
        f.write('{"data": %s,\n"cases": [\n' % json.dumps(old["data"], ensure_ascii=False))
        f.write(",\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
        f.write("\n]}\n")
    return len(rows)


def write_real(folder):
    results = []
    names = sorted(n for n in os.listdir(folder) if n.endswith(".jinja"))
    for name in names:
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        source = data.decode("utf-8")
        rows = {key: one(source, variables) for key, variables in dialogues.DIALOGUES.items()}
        results.append({"file": name, "sha256": hashlib.sha256(data).hexdigest(), "results": rows})
    text = json.dumps({"dialogues": dialogues.DIALOGUES, "templates": results}, ensure_ascii=False)
    with open(os.path.join(HERE, "real.json.xz"), "wb") as f:
        f.write(lzma.compress(text.encode("utf-8"), preset=9))
    return len(results), len(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("cases:", write_cases())
    print("real templates, bytes:", write_real(sys.argv[1]))
