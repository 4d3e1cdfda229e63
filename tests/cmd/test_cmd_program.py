"""The program's manners: help, errors, exit statuses, broken outputs, and the pages made from the option table."""

import json
import os
import re
import shutil
import subprocess
import unittest

from program import CRIA, ENVIRONMENT, FOLDER, SOURCE, run, tiny_model, write

COMMANDS = "chat generate perplexity tokenize detokenize template pull list rm inspect bench doctor".split()
COMMANDS += ["completion", "version"]


class Help(unittest.TestCase):
    """Catches: a command without a page, a page that does not fit a terminal, help that counts as a failure."""

    def test_every_command_has_a_page(self):
        for command in COMMANDS:
            for form in ([command, "--help"], ["help", command], [command, "-h"]):
                result = run(*form)
                self.assertEqual((result.returncode, result.stderr), (0, ""), form)
                self.assertTrue(result.stdout.startswith(f"cria {command}: "), result.stdout)
                self.assertTrue(all(len(line) <= 100 for line in result.stdout.splitlines()), command)

    def test_the_program_lists_them(self):
        for form in (["--help"], ["-h"], ["help"]):
            result = run(*form)
            self.assertEqual(result.returncode, 0)
            for command in COMMANDS:
                self.assertRegex(result.stdout, rf"(?m)^  {command} ")

    def test_families(self):
        """Commands of two words: the first alone says what may follow; asked for help, it lists them and succeeds."""
        for form in (["plan", "--help"], ["help", "plan"], ["plan", "-h"]):
            result = run(*form)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("cria plan train", result.stdout)
            self.assertNotIn("cria data", result.stdout)
        alone = run("plan")
        self.assertNotEqual(alone.returncode, 0)
        self.assertIn("needs a second word: train", alone.stderr)

    def test_version(self):
        with open(os.path.join(SOURCE, "CMakeLists.txt"), encoding="utf-8") as f:
            version = re.search(r"project\(cria VERSION ([0-9.]+)", f.read()).group(1)
        with open(os.path.join(SOURCE, "src/kernel/order.h"), encoding="utf-8") as f:
            arithmetic = re.search(r"#define ORDER_ARITHMETIC_VERSION (\d+)", f.read()).group(1)
        for form in ("version", "--version"):
            self.assertEqual(run(form).stdout, f"cria {version} (arithmetic {arithmetic})\n")


class Pages(unittest.TestCase):
    """Catches: docs/OPTIONS.md and the completion scripts falling behind the table."""

    def test_options_page_is_current(self):
        with open(os.path.join(SOURCE, "docs/OPTIONS.md"), encoding="utf-8") as f:
            self.assertEqual(
                f.read(),
                run("options", "--markdown").stdout,
                "docs/OPTIONS.md is stale: ./cria options --markdown > docs/OPTIONS.md",
            )

    def complete(self, *words):
        script = run("completion", "bash").stdout + """
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cria; printf '%s\\n' "${COMPREPLY[@]}"
        """
        environment = dict(ENVIRONMENT, PATH=os.path.dirname(os.path.abspath(CRIA)) + ":" + ENVIRONMENT["PATH"])
        result = subprocess.run(
            ["bash", "-c", script, "bash", *words],
            capture_output=True,
            text=True,
            env=environment,
            cwd=FOLDER,
            check=True,
        )
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_bash_completes(self):
        self.assertEqual(self.complete("cria", "gen"), ["generate"])
        self.assertEqual(self.complete("cria", "generate", "--temp"), ["--template", "--temperature"])
        self.assertEqual(
            self.complete("cria", "generate", "--cpu-mask", "a"), ["avx2", "avx512", "avx512bf16", "amx"]
        )
        self.assertEqual(self.complete("cria", "completion", "z"), ["zsh"])
        self.assertEqual(self.complete("cria", "tok"), ["tokenize", "tokenizer"])
        self.assertEqual(self.complete("cria", "tokenizer", "t"), ["train"])
        self.assertEqual(self.complete("cria", "tokenizer", "train", "--vocab"), ["--vocab-size"])
        self.assertEqual(self.complete("cria", "tokenizer", "train", "--splitter", "g"), ["gpt2"])

    def test_zsh_script_is_zsh(self):
        result = run("completion", "zsh")
        self.assertTrue(result.stdout.startswith("#compdef cria\n"))
        if shutil.which("zsh"):
            subprocess.run(["zsh", "-n"], input=result.stdout, text=True, check=True)


class Usage(unittest.TestCase):
    """Catches: wrong usage that runs anyway, ends with 0 or 1, or does not say what would be right."""

    def check(self, arguments, part):
        result = run(*arguments)
        self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
        self.assertRegex(result.stderr, r"\Acria: [^\n]*\n\Z")
        self.assertIn(part, result.stderr)

    def test_wrong_usage(self):
        self.check([], "cria --help")
        self.check(["genrate"], 'did you mean "generate"?')
        self.check(["generate", "--temprature", "1"], "did you mean --temperature?")
        self.check(["generate", "-p", "x"], "-m MODEL")
        self.check(["generate", "-m", tiny_model(), "-p", "x", "--ids", "1"], "exclude each other")
        self.check(["generate", "-m", tiny_model(), "-p", "x", "--top-p", "2"], "from 0 to 1")
        self.check(["generate", "-m", tiny_model(), "-p", "x", "--output", "x"], "--jsonl")
        self.check(["generate", "-m", tiny_model(), "-p", ""], "empty")
        self.check(["tokenize", "-m", tiny_model(), "-p", "x", "-f", "y"], "exclude each other")
        self.check(["template", "x.json"], "--template FILE")
        self.check(["inspect"], "which model?")
        self.check(["pull"], "SOURCE")
        self.check(["completion", "fish"], "bash or zsh")
        self.check(["chat", "--context", "1000000", "-m", tiny_model(), "-p", "x"], "512")

    def test_what_does_not_exist(self):
        for arguments in (["generate", "-m", "no-such-model", "-p", "x"], ["inspect", "/nonexistent/model"]):
            result = run(*arguments)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertRegex(result.stderr, r"\Acria: [^\n]*\n\Z")
            self.assertIn(arguments[-1] if arguments[0] == "inspect" else "no-such-model", result.stderr)

    def test_chat_without_the_default_model_says_how_to_get_it(self):
        result = run("chat", "-p", "x")
        self.assertEqual(result.returncode, 1)
        self.assertIn("cria pull smollm2", result.stderr)


class Outputs(unittest.TestCase):
    """Catches: output that is lost in silence, and a program that dies of a signal when its reader leaves."""

    def test_full_disk(self):
        for arguments in (
            ["options"],
            ["version"],
            ["inspect", tiny_model(), "--json"],
            ["generate", "-m", tiny_model(), "-p", "hello", "-n", "3", "--ignore-eos"],
        ):
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = subprocess.run(
                    [CRIA, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
                )
            self.assertEqual(
                (result.returncode, result.stderr),
                (1, "cria: standard output: No space left on device\n"),
                arguments,
            )

    def test_reader_that_leaves(self):
        for arguments in (
            ["options", "--markdown"],
            ["generate", "-m", tiny_model(), "-p", "hello", "-n", "400", "--ignore-eos"],
        ):
            reader, writer = os.pipe()
            os.close(reader)
            result = subprocess.run(
                [CRIA, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=subprocess.PIPE,
                text=True,
                env=ENVIRONMENT,
            )
            os.close(writer)
            self.assertEqual(
                (result.returncode, result.stderr), (1, "cria: standard output: Broken pipe\n"), arguments
            )


class Store(unittest.TestCase):
    """Catches: a pulled model that commands do not find, a list that a script cannot read."""

    def test_pull_list_rm(self):
        result = run("pull", "file:" + tiny_model(), "--name", "tiny-store")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("tiny-store: pulled", result.stdout)
        self.assertIn("is here already", run("pull", "file:" + tiny_model(), "--name", "tiny-store").stdout)
        self.assertEqual(run("list", "--names").stdout, "tiny-store\n")
        listed = json.loads(run("list", "--json").stdout)
        self.assertEqual([m["name"] for m in listed], ["tiny-store"])
        self.assertEqual(len(listed[0]["sha256"]), 64)
        self.assertIn("tiny-store", run("list").stdout)
        self.assertEqual(
            run("tokenize", "-m", "tiny-store", "-p", "he").stdout,
            run("tokenize", "-m", tiny_model(), "-p", "he").stdout,
        )
        self.assertEqual(run("rm", "tiny-store").returncode, 0)
        self.assertEqual(run("list", "--names").stdout, "")
        result = run("rm", "tiny-store")
        self.assertEqual(result.returncode, 1)
        self.assertIn("tiny-store", result.stderr)


class Pictures(unittest.TestCase):
    """Catches: inspect and doctor leaving out what they are for, or JSON that is none."""

    def test_inspect(self):
        told = json.loads(run("inspect", tiny_model(), "--json").stdout)
        self.assertEqual(told["config"]["d_model"], 60)
        self.assertEqual(told["config"]["n_vocab"], 331)
        self.assertEqual(told["tokenizer"]["size"], 331)
        self.assertIn("<|{{ m['role'] }}|>", told["template"])
        in_file = sum(t["bytes"] for t in told["tensors"])
        self.assertTrue(0 < in_file < told["bytes"])
        # What is foretold is what a run then takes.
        bench = run("bench", tiny_model(), "--json", "--repeat", "1", "--prompt-tokens", "8", "-n", "2",
                    "--threads", "1")
        self.assertEqual(told["memory"]["weight_bytes"], json.loads(bench.stdout)["weight_bytes"])
        self.assertGreater(told["memory"]["kv_bytes"], 0)
        self.assertGreater(told["memory"]["activation_bytes"], 0)
        page = run("inspect", tiny_model(), "--tensors").stdout
        for part in ("Configuration", "model.layers.1.mlp.up_proj.weight", "Memory", "Tokenizer", "Chat template"):
            self.assertIn(part, page)
        checked = json.loads(run("inspect", tiny_model(), "--json", "--check-tensors").stdout)
        self.assertEqual(len(checked["weights_sha256"]), 64)

    def test_doctor(self):
        told = json.loads(run("doctor", "--json").stdout)
        self.assertTrue(told["kernels"]["ref"].startswith("usable"))
        self.assertIn("oniguruma", told["libraries"])
        masked = json.loads(run("doctor", "--json", "--cpu-mask", "ref").stdout)
        self.assertEqual(masked["kernels"]["chosen"], "ref")
        for part in ("Processor", "Kernels", "Memory", "Libraries"):
            self.assertIn(part, run("doctor").stdout)

    def test_bench(self):
        told = json.loads(
            run(
                "bench",
                tiny_model(),
                "--json",
                "--repeat",
                "3",
                "--prompt-tokens",
                "16",
                "-n",
                "4",
                "--threads",
                "1",
            ).stdout
        )
        self.assertEqual(told["threads"], 1)
        for part in ("prefill", "decode"):
            self.assertLessEqual(told[part]["slowest"], told[part]["tokens_per_s"])
            self.assertLessEqual(told[part]["tokens_per_s"], told[part]["fastest"])
        self.assertGreater(told["machine"]["read_bytes_per_s"], 1e8)

    def test_bench_of_several_sequences(self):
        """Catches: a decode that counts the tokens of one sequence, or measures what it was told to leave out."""
        asked = "--json --repeat 1 --prompt-tokens 0 -n 4 --threads 1 --depth 8 --sequences 3".split()
        told = json.loads(run("bench", tiny_model(), *asked).stdout)
        self.assertIsNone(told["prefill"])
        self.assertEqual((told["depth"], told["sequences"], told["decode"]["tokens"]), (8, 3, 4))
        self.assertGreater(told["decode"]["tokens_per_s"], 0)
        nothing = run("bench", tiny_model(), "--prompt-tokens", "0", "-n", "0")
        self.assertEqual(nothing.returncode, 2)
        self.assertIn("nothing to measure", nothing.stderr)


class Text(unittest.TestCase):
    """Catches: tokenize, detokenize and template changing a text on its way."""

    def test_there_and_back(self):
        text = "hello there, été <s> \U0001f600\n"
        ids = run("tokenize", "-m", tiny_model(), "-p", text).stdout.strip()
        self.assertEqual(run("detokenize", "-m", tiny_model(), "--ids", ids).stdout, text)
        self.assertEqual(run("detokenize", "-m", tiny_model(), stdin=ids).stdout, text)
        self.assertEqual(run("tokenize", "-m", tiny_model(), stdin=text).stdout.strip(), ids)
        self.assertEqual(run("tokenize", "-m", tiny_model(), "-f", write("text.txt", text)).stdout.strip(), ids)
        self.assertEqual(
            run("tokenize", "-m", os.path.join(tiny_model(), "tokenizer.json"), "-p", text).stdout.strip(), ids
        )
        self.assertEqual(
            json.loads(run("tokenize", "-m", tiny_model(), "-p", text, "--json").stdout)["ids"],
            [int(i) for i in ids.split(",")],
        )

    def test_special_tokens_only_when_asked(self):
        self.assertNotIn(run("tokenize", "-m", tiny_model(), "-p", "<s>").stdout, ("1\n",))
        self.assertEqual(run("tokenize", "-m", tiny_model(), "-p", "<s>", "--special").stdout, "1\n")
        self.assertEqual(run("detokenize", "-m", tiny_model(), "--ids", "1", "--special").stdout, "<s>")
        self.assertEqual(run("detokenize", "-m", tiny_model(), "--ids", "1").stdout, "")

    def test_lines(self):
        texts = ["he", "", 'a "b"\n\u00e9']
        path = write("texts.jsonl", "".join(json.dumps({"text": t, "label": [1]}) + "\n" for t in texts))
        lines = run("tokenize", "-m", tiny_model(), "--jsonl", path).stdout
        self.assertEqual(len(lines.splitlines()), 3)
        self.assertEqual(json.loads(lines.splitlines()[1]), {"ids": []})
        back = run("detokenize", "-m", tiny_model(), "--jsonl", "-", stdin=lines).stdout
        self.assertEqual([json.loads(line)["text"] for line in back.splitlines()], texts)
        result = run("tokenize", "-m", tiny_model(), "--jsonl", "-", stdin='{"text": "a"}\n{"ids": [1]}\n')
        self.assertEqual(result.returncode, 1)
        self.assertIn("line 2", result.stderr)

    def test_template(self):
        dialogue = {"messages": [{"role": "user", "content": "hi </s>"}]}
        expected = "<s><|user|>hi </s></s><|assistant|>"
        path = write("dialogue.json", json.dumps(dialogue))
        self.assertEqual(run("template", "-m", tiny_model(), path).stdout, expected)
        self.assertEqual(run("template", "-m", tiny_model(), "-", stdin=json.dumps(dialogue)).stdout, expected)
        source = write("t.jinja", "{{ messages[0].content }}|{{ eos_token }}|{{ add_generation_prompt }}")
        dialogue.update(eos_token="E", add_generation_prompt=False)
        self.assertEqual(
            run("template", "--template", source, "-", stdin=json.dumps(dialogue)).stdout, "hi </s>|E|False"
        )
        result = run("template", "-m", tiny_model(), "-", stdin='{"messages": 5}')
        self.assertEqual(result.returncode, 1)
        self.assertIn("messages", result.stderr)


if __name__ == "__main__":
    unittest.main()
