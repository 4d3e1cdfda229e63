"""tools/tidy finds what it promises to find.

The failure to catch: a rule that has quietly stopped working, so that the tree drifts while the test stays green. A
small clean tree passes; each case breaks one rule in it and expects exactly that finding.
"""
import os
import subprocess
import sys
import tempfile
import unittest

TIDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "tidy")

CLEAN = {
    "CMakeLists.txt": "cria_module(low LIBRARIES m)\ncria_module(high USES low)\n",
    "docs/TOUR.md": "# Tour\n\n## `src/low/`\n- `sum.h`, `sum.c`: sums\n\n## `src/high/`\n- `top.c`: the top\n\n"
                    "## `docs/`\n- `TOUR.md`: this page\n",
    "src/low/sum.h": "/* sum.h: sums. */\n#ifndef LOW_SUM_H\n#define LOW_SUM_H\nint sum_of(int a, int b);\n#endif\n",
    "src/low/sum.c": '/* sum.c: see sum.h. */\n#include "low/sum.h"\n\nint sum_of(int a, int b) { return a + b; }\n',
    "src/high/top.c": '/* top.c: the top. */\n#include "low/sum.h"\n\nint top_run(void) {\n'
                      '    return sum_of(1, 2);\n}\n',
}


def top(body):
    return {"src/high/top.c": '/* top.c: the top. */\n#include "low/sum.h"\n\n' + body + "\n"}


CASES = {
    "file-length": top("int top_run(void) { return sum_of(1, 2); }\n" * 1 + "\n" * 800),
    "line-length": top("int top_run(void) { return sum_of(1, 2); }" + " " * 90 + "/* far */"),
    "function-length": top("int top_run(void) {\n" + "    ;\n" * 80 + "    return 0;\n}"),
    "parameters": top("int top_run(int a, int b, int c, int d, int e, int f, int g, int h, int i) { return a; }"),
    "banned": top("int top_run(const char *t) { return atoi(t); }"),
    "environment": top('int top_run(void) { return getenv("HOME") != 0; }'),
    "heap": top("void *top_run(void) { return malloc(3); }"),
    "exit": top("void top_run(void) { exit(1); }"),
    "print": top('void top_run(void) { fprintf(stderr, "no"); }'),
    "word": top("int top_run(void) { return 0; } /* TO" "DO */"),
    "machine-path": top('const char *top_path = "/ho' 'me/me/x";\nint top_run(void) { return 0; }'),
    "assert": top("int top_run(int a) {\n    CRIA_ASSERT(a++ < 3);\n    return a;\n}"),
    "layer": {"src/low/sum.c": '/* sum.c: see sum.h. */\n#include "high/top.h"\n#include "low/sum.h"\n',
              "src/high/top.h": "/* top.h: x. */\nint top_run(void);\n",
              "docs/TOUR.md": CLEAN["docs/TOUR.md"].replace("`top.c`", "`top.h`, `top.c`")},
    "include": top('#include "sum.h"\nint top_run(void) { return 0; }'),
    "header": {"src/low/sum.h": "/* sum.h: sums. */\nint sum_of(size_t a, size_t b);\n"},
    "symbol": top("int run_top(void) { return 0; }"),
    "file-name": {"tests/a/sum.h": "/* sum.h: again. */\n", "docs/TOUR.md": CLEAN["docs/TOUR.md"]
                  + "## `tests/`\n- `a/`: a folder\n"},
    "banner": {"src/high/top.c": "int top_run(void) { return 0; }\n#include \"low/sum.h\"\n"},
    "dead": {"src/low/lonely.h": "/* lonely.h: nobody. */\n",
             "docs/TOUR.md": CLEAN["docs/TOUR.md"].replace("`sum.h`", "`lonely.h`, `sum.h`")},
    "tour": {"docs/TOUR.md": CLEAN["docs/TOUR.md"].replace("`top.c`", "`gone.c`")},
}


def run_tidy(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**CLEAN, **files}.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
        done = subprocess.run([sys.executable, "-B", TIDY, "--root", root], capture_output=True, text=True)
    rules = {line.split(": ")[1] for line in done.stdout.splitlines() if not line.startswith("tidy:")}
    return done.returncode, rules, done.stdout + done.stderr


class Tidy(unittest.TestCase):
    def test_clean_tree(self):
        code, rules, output = run_tidy({})
        self.assertEqual((code, rules), (0, set()), output)

    def test_each_rule(self):
        for rule, files in CASES.items():
            with self.subTest(rule):
                code, rules, output = run_tidy(files)
                self.assertEqual((code, rules), (1, {rule}), output)

    def test_strings_and_comments_are_not_code(self):
        body = '/* atoi( */\nconst char *top_text = "malloc(";\nint top_run(void) { return 0; }'
        code, _, output = run_tidy(top(body))
        self.assertEqual(code, 0, output)


if __name__ == "__main__":
    unittest.main()
