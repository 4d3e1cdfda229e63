"""chat: one answer, messages from a pipe, and a person at a terminal (a pseudo-terminal): keys, commands, Ctrl-C,
saved dialogues."""

import json
import os
import unittest

from program import ENVIRONMENT, FOLDER, run, tiny_model, write
from terminal import Terminal

BASE = ["chat", "-m", tiny_model(), "--seed", "5", "-n", "12"]


def messages_of(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)["messages"]


class Piped(unittest.TestCase):
    """Catches: prompts, banners or colours in a pipe, an answer that the dialogue before does not reach."""

    def test_one_answer(self):
        result = run(*BASE, "-p", "hello")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(result.stdout.endswith("\n"))
        self.assertNotIn("\x1b", result.stdout)
        self.assertEqual(run(*BASE, "-p", "hello").stdout, result.stdout)
        self.assertNotEqual(run(*BASE, "-p", "hello", "--system", "be short").stdout, result.stdout)

    def test_lines_are_messages(self):
        path = os.path.join(FOLDER, "piped.json")
        result = run(*BASE, stdin=f'hello\nmore\\\nof it\n"""a\nblock"""\n//slash\n/save {path}\n')
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(result.stdout.startswith(run(*BASE, "-p", "hello").stdout))
        messages = messages_of(path)
        self.assertEqual([m["role"] for m in messages], ["user", "assistant"] * 4)
        self.assertEqual([m["content"] for m in messages[::2]], ["hello", "more\nof it", "a\nblock", "/slash"])

    def test_an_error_ends_it(self):
        result = run(*BASE, stdin="/nonsense\nhello\n")
        self.assertEqual((result.returncode, result.stdout), (1 if result.returncode == 1 else 2, ""))
        self.assertIn("/help", result.stderr)

    def test_full_context(self):
        """The tiny context holds two turns: the third message is refused with advice, and nothing of the dialogue is
        lost."""
        path = os.path.join(FOLDER, "full.json")
        result = run(*BASE, "--context", "70", stdin=f"hello\nhello\n/save {path}\n" + "hello " * 20 + "\n")
        self.assertEqual(result.returncode, 1)
        for part in ("70", "/compact", "/new"):
            self.assertIn(part, result.stderr)
        self.assertEqual(len(messages_of(path)), 4)

    def test_answer_that_fills_the_context(self):
        result = run(
            "chat", "-m", tiny_model(), "--seed", "5", "--context", "40", "--logit-bias", "2=-100", "-p", "hello"
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("(the context of 40 tokens is full, so the answer ends here; /compact", result.stdout)

    def test_compact(self):
        path = os.path.join(FOLDER, "compact.json")
        result = run(
            *BASE,
            "--system",
            "be short",
            "--logit-bias",
            "2=-100",
            stdin=f"hello\nand more\n/compact\n/save {path}\n",
        )
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        messages = messages_of(path)
        self.assertEqual([m["role"] for m in messages], ["system", "user", "assistant"])
        self.assertIn(messages[2]["content"].strip()[:5], result.stdout)

    def test_compact_of_a_dialogue_that_fills_the_context(self):
        """A dialogue with no room for one more word is summarised in pieces, so that the chat can go on."""
        path = os.path.join(FOLDER, "compact-full.json")
        start = ["chat", "-m", tiny_model(), "--seed", "5", "--logit-bias", "2=-100", "--context", "400"]
        filled = run(*start, stdin=f"hello\n/save {path}\n")
        self.assertIn("the context of 400 tokens is full", filled.stdout)
        result = run(*start, "--load", path, stdin=f"/compact\n/save {path}\nhello\n")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual([m["role"] for m in messages_of(path)], ["user", "assistant"])

    def test_commands(self):
        path = os.path.join(FOLDER, "commands.json")
        saved = write(
            "load.json",
            json.dumps({"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]}),
        )
        result = run(*BASE, stdin=f"/load {saved}\n/system be short\n/edit three\n/regen\n/save {path}\n/help\n")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        messages = messages_of(path)
        self.assertEqual(
            [(m["role"], m["content"]) for m in messages[:2]], [("system", "be short"), ("user", "three")]
        )
        self.assertEqual(len(messages), 3)
        for command in "/system /regen /edit /compact /new /save /load".split():
            self.assertIn(command, result.stdout)
        result = run(*BASE, "--load", path, stdin=f"/new\n/save {path}\n")
        self.assertEqual([m["role"] for m in messages_of(path)], ["system"])


class AtATerminal(unittest.TestCase):
    """Catches: a chat that Ctrl-C kills, a history that is not kept, keys that do not edit, a terminal left raw."""

    PROMPT = r"\n> "
    # The prompt behind some output. The editor draws the prompt anew at will, so "> " alone may be an old one; and what
    # is typed before the prompt is there goes to the terminal's own line discipline.
    AFTER = r"[^\n]*\n> "

    def test_conversation(self):
        path = os.path.join(FOLDER, "terminal.json")
        with Terminal(*BASE, "--logit-bias", "2=-100") as t:
            t.expect(r"context 512 tokens. /help lists the commands, Ctrl-D ends." + self.AFTER)
            t.type("hellx\x7fo\n")  # backspace edits
            t.expect(self.PROMPT)
            t.type("second \\\n")
            t.expect(r"\.\.\. ")
            t.type("line\n")
            t.expect(self.PROMPT)
            t.type("/nonsense\n")
            t.expect("cria: unknown command /nonsense")
            t.expect(self.PROMPT)
            t.type(f"/save {path}\n")
            t.expect(r"\(4 messages written to" + self.AFTER)
            t.type("\x1b[A")  # the line before
            t.expect(r"/save ")
            t.type("\n")
            t.expect(r"\(4 messages written to" + self.AFTER)
            t.type("\x04")
            self.assertEqual(t.end(), 0)
        self.assertEqual([m["content"] for m in messages_of(path)[::2]], ["hello", "second \nline"])
        history = os.path.join(ENVIRONMENT["XDG_DATA_HOME"], "cria", "chat_history")
        with open(history, encoding="utf-8") as f:
            self.assertIn("/nonsense", f.read())
        self.assertEqual(os.stat(history).st_mode & 0o077, 0)

    def test_interrupts(self):
        path = os.path.join(FOLDER, "stopped.json")
        with Terminal(
            "chat",
            "-m",
            tiny_model(),
            "--seed",
            "5",
            "--logit-bias",
            "2=-100",
            "--cpu-mask",
            "ref",
            "--threads",
            "1",
        ) as t:
            t.expect(self.PROMPT)
            t.type("half a line\x03")
            t.expect(r"Ctrl-D ends the chat" + self.AFTER)
            t.type("hello\n")
            t.expect(r"hello\n.")  # the first of some 480 tokens is here
            t.type("\x03")
            t.expect(r"\((stopped|the context|Ctrl-D)" + self.AFTER)  # a fast machine is done before the key
            t.type(f"/save {path}\n")
            t.expect(r"\(2 messages written")
            t.type("/quit\n")
            self.assertEqual(t.end(), 0)
        self.assertTrue(messages_of(path)[1]["content"])

    def test_edit_and_compact_ask(self):
        path = os.path.join(FOLDER, "edited.json")
        with Terminal(*BASE, "--logit-bias", "2=-100") as t:
            t.expect(self.PROMPT)
            t.type("hello\n")
            t.expect(self.PROMPT)
            t.type("/edit\n")
            t.expect(r"> /edit hello")
            t.type(" you\n")
            t.expect(self.PROMPT)
            t.type("/compact\n")
            t.expect(r"go on from this summary\? \[y/N\] ")
            t.type("n\n")
            t.expect(r"\(the dialogue is as it was\)" + self.AFTER)
            t.type(f"/save {path}\n")
            t.expect(r"\(2 messages written" + self.AFTER)
            t.type("\x04")
            self.assertEqual(t.end(), 0)
        self.assertEqual(messages_of(path)[0]["content"], "hello you")

    def test_a_failed_command_changes_nothing(self):
        path = os.path.join(FOLDER, "unchanged.json")
        with Terminal(*BASE, "--context", "80") as t:
            t.expect(self.PROMPT)
            t.type("hello\n")
            t.expect(self.PROMPT)
            for command in ("/edit " + "x" * 100, "/load /nonexistent", "/save", "x" * 100, "/system"):
                t.type(command + "\n")
                t.expect(r"(cria: |\(none of yours)" + self.AFTER)
            t.type(f"/save {path}\n")
            t.expect(r"\(2 messages written" + self.AFTER)
            t.type("\x04")
            self.assertEqual(t.end(), 0)
        self.assertEqual(messages_of(path)[0]["content"], "hello")

    def test_answers_cannot_steer_the_terminal(self):
        """The model says ESC (id of byte 27 in the tiny vocabulary) again and again."""
        escape = json.loads(run("tokenize", "-m", tiny_model(), "-p", "\x1b", "--json").stdout)["ids"][0]
        with Terminal("chat", "-m", tiny_model(), "-n", "3", "--logit-bias", f"{escape}=100", "-p", "hello") as t:
            t.expect("\ufffd\ufffd\ufffd\n")
            self.assertEqual(t.end(), 0)


if __name__ == "__main__":
    unittest.main()
