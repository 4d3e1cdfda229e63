#!/usr/bin/env python3
"""Writes src/text/template_case_table.c: Python's case mappings, for the string methods of chat templates.

Usage: python3 tools/unicode_case.py > src/text/template_case_table.c
The tables hold what str.upper(), lower(), title() and casefold() of the running Python do with single characters.
"""
import sys
import unicodedata


def ranges(mapping):
    """Runs of code points, next to each other or every second one, that move by the same distance."""
    out = []
    for code in sorted(mapping):
        delta = mapping[code] - code
        if out:
            first, last, stride, d = out[-1]
            if d == delta and code - last == stride:
                out[-1][1] = code
                continue
            if d == delta and first == last and code - last in (1, 2):
                out[-1][1:3] = [code, code - last]
                continue
        out.append([code, code, 1, delta])
    return out


def main():
    kinds = [("upper", str.upper), ("lower", str.lower), ("title", str.title), ("fold", str.casefold)]
    simple, special = {}, []
    for name, function in kinds:
        simple[name] = {}
        for code in range(0x110000):
            if 0xD800 <= code < 0xE000:
                continue
            result = function(chr(code))
            if len(result) == 1 and result != chr(code):
                simple[name][code] = ord(result)
            elif len(result) > 1:
                special.append((code, name[0], [ord(c) for c in result]))
    # Titles are upper case and folds are lower case but where said otherwise.
    for name, base in (("title", "upper"), ("fold", "lower")):
        differs = {}
        for code in set(simple[name]) | set(simple[base]):
            if simple[name].get(code, code) != simple[base].get(code, code):
                differs[code] = simple[name].get(code, code)
        simple[name] = differs
    print("/* template_case_table.c: case mappings of Unicode %s, written by tools/unicode_case.py, not by hand. */"
          % unicodedata.unidata_version)
    print('#include "text/template_case_table.h"\n\n/* clang-format off */\n')
    for name, _ in kinds:
        rows = ranges(simple[name])
        print("const struct case_range template_case_%s[] = {" % name)
        line = "   "
        for row in rows:
            item = " {0x%X, 0x%X, %d, %d}," % tuple(row)
            if len(line) + len(item) > 118:
                print(line)
                line = "   "
            line += item
        print(line + "\n};")
        print("const size_t template_case_n_%s = %d;\n" % (name, len(rows)))
    print("const struct case_special template_case_special[] = {")
    line = "   "
    for code, kind, out in special:
        item = " {0x%X, '%s', {%s}}," % (code, kind, ", ".join("0x%X" % c for c in out))
        if len(line) + len(item) > 118:
            print(line)
            line = "   "
        line += item
    print(line + "\n};")
    print("const size_t template_case_n_special = %d;" % len(special))


if __name__ == "__main__":
    sys.exit(main())
