"""What a clumsy caller does to the program: closed streams, things that are no files, lists with holes."""

import os
import subprocess
import unittest

from program import CRIA, ENVIRONMENT, run, tiny_model


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
