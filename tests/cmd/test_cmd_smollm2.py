"""The program with a real model: SmolLM2-135M-Instruct, from the user's data folder, pulled where it is not there."""

import json
import os
import subprocess
import time
import unittest

from program import CRIA, ENVIRONMENT, FOLDER
from terminal import Terminal

REAL = {**ENVIRONMENT, "HOME": os.environ.get("HOME", FOLDER)}
if "XDG_DATA_HOME" in os.environ:
    REAL["XDG_DATA_HOME"] = os.environ["XDG_DATA_HOME"]
else:
    del REAL["XDG_DATA_HOME"]


def run(*arguments, stdin=""):
    return subprocess.run([CRIA, *arguments], input=stdin, capture_output=True, text=True, env=REAL, timeout=300)


def setUpModule():
    result = run("pull", "smollm2")
    assert result.returncode == 0, result.stderr


class Answers(unittest.TestCase):
    """Catches: a template, a tokenizer or a default that makes a real model talk nonsense."""

    def test_capital(self):
        result = run("chat", "-p", "What is the capital of France?", "--temperature", "0")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("Paris", result.stdout)

    def test_chat_answers_the_whole_dialogue(self):
        path = os.path.join(FOLDER, "dialogue.json")
        shown = run("chat", "--temperature", "0", stdin=f"Name a color.\nName another one.\n/save {path}\n").stdout
        with open(path, encoding="utf-8") as f:
            messages = json.load(f)["messages"]
        self.assertEqual([m["role"] for m in messages], ["user", "assistant"] * 2)
        line = json.dumps({"messages": messages[:3]})
        answer = json.loads(run("generate", "-m", "smollm2", "--jsonl", "-", stdin=line).stdout)
        self.assertEqual(answer["text"], messages[3]["content"])
        self.assertIn(answer["text"], shown)

    def test_perplexity_knows_english(self):
        english = json.loads(
            run(
                "perplexity", "-m", "smollm2", "--json", "-p", "The sun rises in the east and sets in the west."
            ).stdout
        )
        noise = json.loads(
            run(
                "perplexity", "-m", "smollm2", "--json", "-p", "East sets sun the the and in west rises in the the."
            ).stdout
        )
        self.assertLess(english["perplexity"], 20)
        self.assertGreater(noise["perplexity"], 5 * english["perplexity"])

    def test_lines_share_prefixes_and_change_nothing(self):
        common = "You are a careful translator. " * 12
        lines = "".join(json.dumps({"text": common + word}) + "\n" for word in ("one", "two", "three", "four"))
        results = [
            [
                json.loads(line)
                for line in run(
                    "generate", "-m", "smollm2", "--jsonl", "-", "-n", "8", *more, stdin=lines
                ).stdout.splitlines()
            ]
            for more in (
                ["--batch", "4"],
                ["--batch", "2", "--threads", "1"],
                ["--batch", "1", "--no-prefix-cache"],
            )
        ]
        self.assertTrue(any(r["timings"]["cached_tokens"] > 0 for r in results[0]))
        self.assertTrue(all(r["timings"]["cached_tokens"] == 0 for r in results[2]))
        for r in sum(results, []):
            del r["timings"]
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])


class AtATerminal(unittest.TestCase):
    """Catches: Ctrl-C that kills the chat, or that an answer or a long prompt does not hear."""

    def test_stop_an_answer_and_go_on(self):
        path = os.path.join(FOLDER, "stopped.json")
        with Terminal("chat", "--temperature", "0", "--logit-bias", "2=-100,0=-100", environment=REAL) as t:
            t.expect(r"/help lists the commands, Ctrl-D ends.\n> ")
            t.type("Tell me a long story about a fox.\n")
            t.expect(r"fox\.\n[^\n]{40}")
            t.type("\x03")
            t.expect(r"\n\(stopped\)\n> ", timeout=10)
            t.type(f"/save {path}\n")
            t.expect(r"\(2 messages written[^\n]*\n> ")
            t.type("x" * 12000 + "\n")  # some seconds of prompt at the least
            time.sleep(0.5)
            t.type("\x03")
            t.expect(r"(cria: stopped before the first word|\(stopped\)|the context holds)[^\n]*\n> ", timeout=60)
            t.type("\x04")
            self.assertEqual(t.end(), 0)
        with open(path, encoding="utf-8") as f:
            self.assertGreater(len(json.load(f)["messages"][1]["content"]), 40)


if __name__ == "__main__":
    unittest.main()
