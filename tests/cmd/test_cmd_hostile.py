"""What a clumsy caller does to the program: closed streams, terminals without a language, things that are no files,
lists with holes, an output that is the input, models with next to no context or without a tokenizer."""

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import termios
import unittest

from program import CRIA, ENVIRONMENT, FOLDER, SOURCE, run, tiny_model, write
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

    def test_ended_from_outside(self):
        """A closed window or a kill: the history is kept, and the terminal echoes again."""
        for number, during_answer in ((signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGHUP, False)):
            data = os.path.join(FOLDER, f"ended-{number}-{during_answer}")
            with Terminal(
                *["chat", "-m", tiny_model(), "--logit-bias", "2=-100"],
                *["-n", "400" if during_answer else "2", "--cpu-mask", "ref", "--threads", "1"],
                environment=ENVIRONMENT | {"XDG_DATA_HOME": data},
            ) as t:
                t.expect(self.START)
                t.type("hello\n")
                t.expect(r"hello\n." if during_answer else r"\n> ")
                os.kill(t.pid, number)
                self.assertEqual(t.end(), 0)
                self.assertTrue(termios.tcgetattr(t.fd)[3] & termios.ECHO)
            with open(os.path.join(data, "cria", "chat_history"), encoding="utf-8") as f:
                self.assertIn("hello", f.read())

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


class Styles(unittest.TestCase):
    """Catches: control sequences on a terminal that shows them as letters."""

    def errors_of(self, *arguments, **environment):
        """What the program writes on a terminal as standard error."""
        ours, its = pty.openpty()
        subprocess.run(
            [CRIA, *arguments], stdout=subprocess.DEVNULL, stderr=its, env=ENVIRONMENT | environment, timeout=120
        )
        os.close(its)
        text = b""
        try:
            while data := os.read(ours, 65536):
                text += data
        except OSError:
            pass
        os.close(ours)
        return text.decode()

    def test_terms(self):
        pull = ["pull", os.path.join(SOURCE, "tests/golden/models/q4_1.gguf"), "--name"]
        self.assertIn("\x1b[K", self.errors_of(*pull, "style1"))
        self.assertEqual(self.errors_of(*pull, "style2", TERM="dumb"), "")


class NoModels(unittest.TestCase):
    """Catches: a path that exists said not to, and a special file that is waited for or read without end."""

    def test_devices_and_pipes(self):
        fifo = os.path.join(os.path.dirname(tiny_model()), "fifo.gguf")
        os.mkfifo(fifo)
        for path, kind in (("/dev/zero", "a device"), (fifo, "a named pipe")):
            result = run("generate", "-m", path, "-p", "a")
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"{path}: expected a regular file, found {kind}", result.stderr)


    def test_parts_of_a_model(self):
        result = run("inspect", os.path.join(tiny_model(), "tokenizer.json"))
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("name the directory", result.stderr)

    def test_pull_of_a_cut_file(self):
        with open(os.path.join(SOURCE, "tests/golden/models/q4_1.gguf"), "rb") as f:
            whole = f.read()
        path = os.path.join(FOLDER, "cut.gguf")
        with open(path, "wb") as f:
            f.write(whole[: len(whole) // 2])
        result = run("pull", path, "--name", "cut")
        self.assertEqual(result.returncode, 0)
        self.assertIn("warning: cut is on this machine now but cannot be run: ", result.stderr)
        self.assertIn("beyond the end of the file", result.stderr)
        self.assertEqual(run("rm", "cut").returncode, 0)


class Lists(unittest.TestCase):
    """Catches: a list of ids with a hole taken for the list without it."""

    def test_holes(self):
        for ids in ("1,,2", ",1", "1,", ""):
            result = run("generate", "-m", tiny_model(), "--ids", ids, "-n", 1)
            self.assertEqual(result.returncode, 2, ids)
            self.assertIn("--ids: expected 1,2,3, found ", result.stderr)

    def test_spaces(self):
        forms = ("7,8", " 7 ,\t8 ", "7 8")
        results = {run("generate", "-m", tiny_model(), "--ids", ids, "-n", 3).stdout for ids in forms}
        self.assertEqual(len(results), 1)


    def test_files_of_ids(self):
        for text, found in (("7 8 x", '"x"'), ("7 8\0 9", "a zero byte")):
            path = write("ids.txt", text)
            for arguments, stdin, name in ((["-f", path], "", path), ([], text, "standard input")):
                result = run("detokenize", "-m", tiny_model(), *arguments, stdin=stdin)
                self.assertNotEqual(result.returncode, 0)
                self.assertRegex(result.stderr, f"{name}: expected .*, found {found}")


class SameFile(unittest.TestCase):
    """Catches: a batch that goes on behind the last line of its own input and destroys it."""

    def test_output_is_input(self):
        text = '{"ids": [7]}\n{"ids": [8]}'
        path = write("same.jsonl", text)
        link = os.path.join(FOLDER, "same-link.jsonl")
        os.symlink(path, link)
        for source, target in ((path, path), (path, link), ("-", path)):
            with open(path, encoding="utf-8") as f:
                result = subprocess.run(
                    [CRIA, "generate", "-m", tiny_model(), "--jsonl", source, "-n", "1", "-o", target],
                    stdin=f,
                    capture_output=True,
                    encoding="utf-8",
                    env=ENVIRONMENT,
                )
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("is the file that --jsonl reads", result.stderr)
            with open(path, encoding="utf-8") as f:
                self.assertEqual(f.read(), text)


class FileLimit(unittest.TestCase):
    """Catches: a program that the system ends where a file grows beyond the user's limit, and what it leaves behind."""

    def test_logits(self):
        folder = os.path.join(FOLDER, "limited")
        os.mkdir(folder)
        path = os.path.join(folder, "rows")
        result = subprocess.run(
            [CRIA, "generate", "-m", tiny_model(), "-p", "a", "-n", "50", "--ignore-eos", "--logits", path],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000)),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=ENVIRONMENT,
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{path}: ", result.stderr)
        self.assertIn("File too large", result.stderr)
        self.assertEqual(os.listdir(folder), [])


class Templates(unittest.TestCase):
    """Catches: a refusal that names neither the dialogue nor the template."""

    def test_refusals(self):
        path = write("refused.json", '{"messages": []}')
        source = write("refusing.jinja", "{{ raise_exception('never') }}")
        result = run("template", "--template", source, path)
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn(f"{path}, with the template of {source}: ", result.stderr)
        self.assertIn("never", result.stderr)
        path = write("undated.json", '{"messages": [], "now": "2024-02-30"}')
        result = run("template", "-m", tiny_model(), path)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn(f"{path}, with the template of {tiny_model()}: ", result.stderr)
        self.assertIn('expected a date as YYYY-MM-DD, found "2024-02-30"', result.stderr)


class SmallContexts(unittest.TestCase):
    """Catches: a model of one or a few positions on which a command is off by one, or says nothing of use."""

    def model(self, n_context):
        folder = os.path.join(FOLDER, f"context-{n_context}")
        if not os.path.isdir(folder):
            shutil.copytree(tiny_model(), folder)
            path = os.path.join(folder, "config.json")
            with open(path, encoding="utf-8") as f:
                config = json.load(f) | {"max_position_embeddings": n_context}
            with open(path, "w", encoding="utf-8") as f:
                json.dump(config, f)
        return folder

    def test_edges(self):
        for n_context in (1, 2, 8):
            model = self.model(n_context)
            for n_prompt, n_answer in ((n_context, 0), (n_context, 1), (n_context - 1, 1), (n_context + 1, 0)):
                if not n_prompt:
                    continue
                ids = ",".join(["70"] * n_prompt)
                result = run("generate", "-m", model, "--ids", ids, "-n", n_answer, "--ignore-eos", "--json")
                if n_prompt + n_answer <= n_context:
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.assertEqual(len(json.loads(result.stdout)["tokens"]), n_answer)
                else:
                    self.assertEqual((result.returncode, result.stdout), (1, ""))
                    self.assertIn(f"a prompt of {n_prompt} tokens and an answer of {n_answer} ", result.stderr)
                    self.assertIn(f"the context of {n_context} tokens", result.stderr)
                if n_prompt >= 2:
                    result = run("perplexity", "-m", model, "--ids", ids)
                    self.assertEqual(result.returncode, int(n_prompt > n_context), result.stderr)

    def test_chat_says_that_nothing_fits(self):
        result = run("chat", "-m", self.model(2), "-p", "hello")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("the context holds 2", result.stderr)

    def test_bench_says_what_to_ask_for(self):
        result = run("bench", self.model(8))
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("made for 8 tokens and this needs 514: lower --prompt-tokens", result.stderr)


class NoTokenizer(unittest.TestCase):
    """Catches: a broken tokenizer taken for a missing one; a model without one that does not run by ids."""

    def test_broken_and_missing(self):
        folder = os.path.join(FOLDER, "no-tokenizer")
        shutil.copytree(tiny_model(), folder)
        path = os.path.join(folder, "tokenizer.json")
        with open(path, "w", encoding="utf-8") as f:
            f.write('{"version":')
        for command in (["generate", "--ids", "7,8", "--json"], ["perplexity", "--ids", "7,8"], ["inspect"]):
            result = run(*command, "-m", folder)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertIn(path, result.stderr)
        os.remove(path)
        result = run("generate", "-m", folder, "--ids", "7,8", "-n", "3", "--ignore-eos", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(json.loads(result.stdout)["tokens"]), 3)
        for command in (["generate", "-p", "a"], ["chat", "-p", "a"], ["tokenize", "-p", "a"]):
            result = run(*command, "-m", folder)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("has no tokenizer", result.stderr)


class NotANumber(unittest.TestCase):
    """Catches: weights that are no numbers and that run without a word, or that are refused without being asked."""

    def test_warning_and_refusal(self):
        folder = os.path.join(FOLDER, "not-a-number")
        shutil.copytree(tiny_model(), folder)
        names = sorted(name for name in os.listdir(folder) if name.endswith(".safetensors"))
        path = os.path.join(folder, names[-1])
        with open(path, "rb") as f:
            data = bytearray(f.read())
        data[-2:] = b"\xc0\x7f"  # the last number of the last tensor, bf16
        with open(path, "wb") as f:
            f.write(data)
        ask = ["generate", "-m", folder, "--ids", "7,8", "-n", "3", "--json"]
        result = run(*ask)
        self.assertEqual(result.stderr.count("NaN or infinities in 1 weight, first in"), 1, result.stderr)
        self.assertIn(result.returncode, (0, 1), result.stderr)
        result = run(*ask, "--check-tensors")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("holds NaN or infinity in row", result.stderr)
        self.assertNotIn("warning", run("generate", "-m", tiny_model(), "--ids", "7,8", "-n", "3").stderr)


if __name__ == "__main__":
    unittest.main()
