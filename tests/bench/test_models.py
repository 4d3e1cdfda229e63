"""The models of random weights that speed is measured on are models: every type loads, is finite, and answers."""
import json
import os
import subprocess
import tempfile
import unittest

SOURCE, BUILD, CRIA = (os.environ[name] for name in ("CRIA_SOURCE_DIR", "CRIA_BUILD_DIR", "CRIA"))


def told(*arguments):
    return json.loads(subprocess.run([CRIA, *arguments, "--json"], check=True, capture_output=True).stdout)


class Models(unittest.TestCase):
    """Catches: blocks whose scales overflow or vanish, so that speed is measured on infinities or zeros."""

    def check(self, path, stored):
        subprocess.run([os.path.join(SOURCE, "bench", "make_models"), path, "9m", stored], check=True)
        types = {t["dtype"].lower() for t in told("inspect", path, "--check-tensors")["tensors"]}
        self.assertEqual(types, {"f32", stored})
        answer = told("perplexity", "-m", path, "--ids", ",".join(map(str, range(40, 80))))
        # Of 16,384 tokens: a model whose weights vanish is exactly as uncertain as that, one that overflows far more.
        self.assertTrue(1000 < answer["perplexity"] < 1e7, answer["perplexity"])
        self.assertNotAlmostEqual(answer["perplexity"], 16384, delta=0.01)

    def test_types(self):
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            for stored in "f32 f16 bf16 q8_0 q4_0 q4_1 q4_k q5_k q6_k".split():
                with self.subTest(stored):
                    self.check(os.path.join(folder, "model.gguf"), stored)


if __name__ == "__main__":
    unittest.main()
