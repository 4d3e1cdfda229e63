"""The program and its kernel tests on an emulated CPU that has no AVX.

The failure to catch: an AVX instruction in an object that every CPU runs (a flag given to the wrong file, an
initialiser that the compiler vectorised). A developer's machine never shows it; here it ends in SIGILL. And the bits:
what the plain code computes there is what this machine's fastest kernels compute.
"""
import glob
import json
import os
import subprocess
import tempfile
import unittest

SOURCE = os.environ["CRIA_SOURCE_DIR"]
BUILD = os.environ["CRIA_BUILD_DIR"]
CRIA = os.environ["CRIA"]
EMULATOR = ["qemu-x86_64", "-cpu", "qemu64"]  # x86-64 as it began: SSE2 and SSE3


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=SOURCE)


class Baseline(unittest.TestCase):
    def test_the_emulator_refuses_avx(self):
        """Else the tests below prove nothing."""
        program = os.path.join(BUILD, "avx_probe")
        code = "#include <immintrin.h>\nint main(int n, char **v) { (void)v; volatile float x = (float)n;\n" \
               "__m256 a = _mm256_set1_ps(x); a = _mm256_mul_ps(a, a); return (int)_mm256_cvtss_f32(a) - 1; }\n"
        built = subprocess.run(["gcc", "-mavx", "-x", "c", "-o", program, "-"], input=code, text=True)
        self.assertEqual(built.returncode, 0)
        self.assertNotEqual(run(*EMULATOR, program).returncode, 0)

    def test_kernel_tests(self):
        sources = [p for folder in ("base", "tensor", "kernel")
                   for p in glob.glob(os.path.join(SOURCE, "src", folder, "*_test.c"))]
        sources += ["packing_test.c", "outer_test.c", "backward_test.c"]  # of tests/kern: what learning computes
        self.assertTrue(sources)
        for source in sorted(sources):
            name = os.path.basename(source)[:-2]
            with self.subTest(name):
                done = run(*EMULATOR, os.path.join(BUILD, name))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_generate(self):
        for model in ("one-head-odd-f32", "gqa8-bf16"):
            command = [CRIA, "generate", "-m", os.path.join(SOURCE, "tests", "golden", "models", model), "--ids",
                       "1,5,9,2", "-n", "4", "--temperature", "0", "--json"]
            with self.subTest(model):
                here, there = run(*command), run(*EMULATOR, *command)
                self.assertEqual(here.returncode, 0, here.stderr)
                self.assertEqual(there.returncode, 0, there.stderr)
                self.assertEqual(json.loads(here.stdout)["digest"], json.loads(there.stdout)["digest"])

    def test_train(self):
        """Two steps leave the weights that they leave here."""
        digests = []
        with tempfile.TemporaryDirectory() as folder:
            rows = os.path.join(folder, "rows.jsonl")
            with open(rows, "w", encoding="ascii") as file:
                for row in range(4):
                    file.write(json.dumps({"ids": [(row * 31 + i * i) % 97 for i in range(70)]}) + "\n")
            for emulator in ([], EMULATOR):
                out = os.path.join(folder, f"run{len(digests)}")
                done = run(*emulator, CRIA, "train", "--width", "48", "--layers", "2", "--heads", "4", "--kv-heads",
                           "2", "--ff-width", "80", "--vocab-size", "97", "--context", "128", "--rows", rows, "--steps",
                           "2", "--global-batch", "2", "--digest-every", "1", "--threads", "2", "--out", out)
                self.assertEqual(done.returncode, 0, done.stderr)
                with open(os.path.join(out, "log.jsonl"), encoding="utf-8") as log:
                    digests.append([json.loads(line)["weights_digest"] for line in log if "weights_digest" in line])
        self.assertEqual(len(digests[0]), 2)
        self.assertEqual(digests[0], digests[1])


if __name__ == "__main__":
    unittest.main()
