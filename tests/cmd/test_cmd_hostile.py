"""What a clumsy caller does to the program: closed streams, terminals without a language, things that are no files,
lists with holes."""

import json
import os
import subprocess
import unittest

from program import CRIA, ENVIRONMENT, FOLDER, run, tiny_model
from terminal import Terminal


def run_closed(fd, *arguments):
    """Runs the program with one of its standard streams closed."""
    return subprocess.run(
        [CRIA, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        env=ENVIRONMENT,
        timeout=120,
        preexec_fn=lambda: os.close(fd),
    )


class ClosedStreams(unittest.TestCase):
    """Catches: the model's file taking the number of a closed stream, so that it is read as the prompt."""

    def test_input(self):
        for command in ("generate", "chat"):
            result = run_closed(0, command, "-m", tiny_model(), "-n", 2)
            self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
            self.assertIn("standard input: ", result.stderr)

    def test_input_that_nobody_needs(self):
        result = run_closed(0, "generate", "-m", tiny_model(), "-p", "a", "-n", 2)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_output(self):
        result = run_closed(1, "generate", "-m", tiny_model(), "-p", "a", "-n", 2)
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard output: ", result.stderr)

    def test_errors(self):
        self.assertEqual(run_closed(2, "generate", "-m", tiny_model(), "-p", "a", "-n", 2).returncode, 0)
        self.assertEqual(run_closed(2, "generate", "-m", "nothing", "-p", "a").returncode, 1)


class Terminals(unittest.TestCase):
    """Catches: letters that vanish where no language is set, and a chat that forgets what another one said."""

    START = r"Ctrl-D ends\.[^\n]*\n> "

    def test_no_language(self):
        path = os.path.join(FOLDER, "no-language.json")
        plain = {k: v for k, v in ENVIRONMENT.items() if k != "LANG" and not k.startswith("LC_")}
        for more in ({}, {"LC_ALL": "C"}):
            with Terminal("chat", "-m", tiny_model(), "-n", "2", environment=plain | more) as t:
                t.expect(self.START)
                t.type("né 日本\n")
                t.expect(r"\n> ")
                t.type(f"/save {path}\n")
                t.expect(r"messages written to")
                t.expect(r"\n> ")
                t.type("\x04")
                self.assertEqual(t.end(), 0)
            with open(path, encoding="utf-8") as f:
                self.assertEqual(json.load(f)["messages"][0]["content"], "né 日本")

    def test_two_chats(self):
        data = {"XDG_DATA_HOME": os.path.join(FOLDER, "two-chats")}
        history = os.path.join(data["XDG_DATA_HOME"], "cria", "chat_history")
        start = ["chat", "-m", tiny_model(), "-n", "2"]
        with Terminal(*start, environment=ENVIRONMENT | data) as one, Terminal(
            *start, environment=ENVIRONMENT | data
        ) as other:
            for t, text in ((one, "from the one"), (other, "from the other")):
                t.expect(self.START)
                t.type(text + "\n")
                t.expect(r"\n> ")
            for t in (one, other):
                t.type("\x04")
                self.assertEqual(t.end(), 0)
        with open(history, encoding="utf-8") as f:
            lines = f.read()
        self.assertIn(r"from\040the\040one", lines)
        self.assertIn(r"from\040the\040other", lines)
        self.assertEqual(os.listdir(os.path.dirname(history)), ["chat_history"])


class NoModels(unittest.TestCase):
    """Catches: a path that exists said not to, and a special file that is waited for or read without end."""

    def test_devices_and_pipes(self):
        fifo = os.path.join(os.path.dirname(tiny_model()), "fifo.gguf")
        os.mkfifo(fifo)
        for path, kind in (("/dev/zero", "a device"), (fifo, "a named pipe")):
            result = run("generate", "-m", path, "-p", "a")
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"{path}: expected a regular file, found {kind}", result.stderr)


class Lists(unittest.TestCase):
    """Catches: a list of ids with a hole taken for the list without it."""

    def test_holes(self):
        for ids in ("1,,2", ",1", "1,", ""):
            result = run("generate", "-m", tiny_model(), "--ids", ids, "-n", 1)
            self.assertEqual(result.returncode, 2, ids)
            self.assertIn("--ids: expected 1,2,3, found ", result.stderr)

    def test_spaces(self):
        results = {run("generate", "-m", tiny_model(), "--ids", ids, "-n", 3).stdout for ids in ("7,8", " 7 ,\t8 ", "7 8")}
        self.assertEqual(len(results), 1)


if __name__ == "__main__":
    unittest.main()
