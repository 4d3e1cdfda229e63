"""T03 through the program, with published vocabularies: a text ten times as long takes at most twelve times as long.

Catches a splitter or a merge whose time grows faster than the text, and recursion: the program runs with a stack of
256 KiB. Texts are 1 and 10 MiB of one thing. long_text_test.c does the same in the library, with its own vocabularies.
"""
import os
import random
import resource
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "kit")]
sys.dont_write_bytecode = True
import fetch  # noqa: E402

CRIA = os.path.abspath(os.environ.get("CRIA", "./cria"))
MIB = 1 << 20
STACK = 256 << 10
MAX_RATIO = 12.0
SEED = 5
UNITS = {"letter": b"a", "newline": b"\n", "mark": "\u0301".encode(), "space": b" ", "random bytes": None,
         "emoji": "\U0001f469\u200d\U0001f467\u200d".encode()}


def small_stack():
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, hard))


def cpu_seconds(command):
    """Time of the processor, so that a busy machine changes little."""
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, preexec_fn=small_stack, **pipes) as process:
        message = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {process.returncode}: {message.decode()}")
    return usage.ru_utime + usage.ru_stime


class LongText(unittest.TestCase):
    def check(self, model):
        with tempfile.TemporaryDirectory(prefix="cria-long-") as folder:
            for name, unit in UNITS.items():
                text = (unit * (10 * MIB // len(unit))) if unit else random.Random(SEED).randbytes(10 * MIB)
                commands = []
                for size in (MIB, 10 * MIB):
                    path = os.path.join(folder, str(size))
                    with open(path, "wb") as out:
                        out.write(text[:size])
                    commands.append([CRIA, "tokenize", "-m", model, "-f", path])
                for _ in range(3):  # the machine may be busy with other things
                    short = sorted(cpu_seconds(commands[0]) for _ in range(3))[1]
                    long = cpu_seconds(commands[1])
                    if long <= MAX_RATIO * short:
                        break
                print(f"{name}: {short:.3f} s and {long:.3f} s", file=sys.stderr)
                self.assertLessEqual(long, MAX_RATIO * short, f"{name} (seed {SEED})")

    def test_llama3(self):
        self.check(fetch.member("llama_models", "0.3.0", "llama_models/llama3/tokenizer.model"))

    def test_llama2(self):
        name = "llama.cpp/models/ggml-vocab-llama-spm.gguf"
        self.check(fetch.member("llama_cpp_python", "0.3.36", name, source=True))


if __name__ == "__main__":
    unittest.main(verbosity=2)
