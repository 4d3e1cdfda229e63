"""The memory that a run takes: no more than `inspect` says beforehand, and never the model twice.

A model of random weights whose head is not tied: the head is packed last, when all other weights are in memory, so a
loader that keeps the pages of a whole tensor shows it in the peak."""
import json
import os
import subprocess
import unittest

SOURCE, BUILD, CRIA = (os.environ[name] for name in ("CRIA_SOURCE_DIR", "CRIA_BUILD_DIR", "CRIA"))
CONTEXT = 512
# The program, its libraries, the file's pages that are being packed (docs/SPEED.md, "Memory").
PROGRAM_BYTES = 24 << 20


def make_model(stored):
    path = os.path.join(BUILD, f"memory-{stored}.gguf")
    subprocess.run([os.path.join(SOURCE, "bench", "make_models"), path, "80m", stored], check=True)
    return path


def peak_bytes(*arguments):
    """VmHWM of a run of the program."""
    process = subprocess.Popen([CRIA, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AssertionError(f"cria {arguments[0]} ended with {process.returncode}")
    return used.ru_maxrss << 10


class Memory(unittest.TestCase):
    def check(self, stored):
        path = make_model(stored)
        self.addCleanup(os.unlink, path)
        told = subprocess.run([CRIA, "inspect", path, "--json", "--context", str(CONTEXT)], check=True,
                              capture_output=True)
        need = json.loads(told.stdout)["memory"]
        need = need["weight_bytes"] + need["kv_bytes"] + need["activation_bytes"]
        ids = ",".join(str(7 * i % 1000) for i in range(CONTEXT - 4))
        peak = peak_bytes("generate", "-m", path, "--ids", ids, "-n", "4", "--ignore-eos", "--json", "--threads", "2")
        self.assertGreater(peak, 0.97 * need)
        self.assertLess(peak, 1.03 * need + PROGRAM_BYTES)

    def test_bf16(self):
        """Catches: a second copy of a tensor; a cache or activations that were not counted."""
        self.check("bf16")

    def test_blocks(self):
        """Catches: weights counted as the file stores them and held as something larger."""
        self.check("q8_0")
        self.check("q5_k")

    def test_checking_lets_pages_go(self):
        """Catches: a check of all weights that leaves the whole file in memory."""
        path = make_model("bf16")
        self.addCleanup(os.unlink, path)
        self.assertLess(peak_bytes("inspect", path, "--check-tensors"), PROGRAM_BYTES + (32 << 20))


if __name__ == "__main__":
    unittest.main()
