"""generate and perplexity: their JSON, their files, batches of lines that equal the lines run alone, and runs that go
on."""

import hashlib
import json
import math
import os
import signal
import struct
import subprocess
import time
import unittest

from program import CRIA, ENVIRONMENT, FOLDER, run, tiny_model, without_timings, write


def generate(*arguments, **more):
    return run("generate", "-m", tiny_model(), *arguments, **more)


def perplexity(*arguments, **more):
    return run("perplexity", "-m", tiny_model(), *arguments, **more)


def result_of(process):
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def read_logits(path):
    """Shape and rows of a safetensors file with one f32 tensor `logits`, read without any library."""
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8 : 8 + n])["logits"]
    assert entry["dtype"] == "F32"
    begin, end = entry["data_offsets"]
    values = struct.unpack(f"<{(end - begin) // 4}f", data[8 + n + begin : 8 + n + end])
    rows, columns = entry["shape"]
    return [values[i * columns : (i + 1) * columns] for i in range(rows)], data[8 + n + begin : 8 + n + end]


def logprob(row, token):
    highest = max(row)
    return row[token] - highest - math.log(sum(math.exp(x - highest) for x in row))


class One(unittest.TestCase):
    """Catches: a field that is missing or means something else, text that differs between the forms, rows that are not
    the ones a token was chosen from."""

    def test_json_fields(self):
        result = result_of(generate("-p", "hello", "-n", "5", "--ignore-eos", "--json"))
        self.assertEqual(
            set(result),
            {"prompt_tokens", "tokens", "text", "logprobs", "finish_reason", "timings", "digest", "arithmetic"},
        )
        self.assertEqual((len(result["tokens"]), len(result["logprobs"])), (5, 5))
        self.assertEqual(result["finish_reason"], "length")
        self.assertRegex(result["digest"], r"\A[0-9a-f]{64}\Z")
        self.assertTrue(all(x <= 0 for x in result["logprobs"]))
        self.assertEqual(
            set(result["timings"]),
            {"prefill_s", "decode_s", "prefill_tokens_per_s", "decode_tokens_per_s", "cached_tokens"},
        )

    def test_forms_of_prompt_agree(self):
        result = result_of(generate("-p", "hello", "-n", "5", "--ignore-eos", "--json"))
        ids = ",".join(map(str, result["prompt_tokens"]))
        for form in (["--ids", ids], ["-f", write("prompt.txt", "hello")]):
            other = result_of(generate(*form, "-n", "5", "--ignore-eos", "--json"))
            self.assertEqual(without_timings(other), without_timings(result))
        other = result_of(generate("-n", "5", "--ignore-eos", "--json", stdin="hello"))
        self.assertEqual(without_timings(other), without_timings(result))

    def test_streamed_text_is_the_json_text(self):
        result = result_of(generate("-p", "hello", "-n", "40", "--ignore-eos", "--json"))
        streamed = generate("-p", "hello", "-n", "40", "--ignore-eos")
        self.assertEqual((streamed.stdout, streamed.stderr), (result["text"] + "\n", ""))

    def test_logits_are_the_rows_that_tokens_came_from(self):
        path = os.path.join(FOLDER, "rows.safetensors")
        result = result_of(generate("-p", "hello", "-n", "4", "--ignore-eos", "--json", "--logits", path))
        rows, data = read_logits(path)
        self.assertEqual([len(rows), len(rows[0])], [4, 331])
        for row, token, value in zip(rows, result["tokens"], result["logprobs"]):
            self.assertEqual(max(range(331), key=lambda i: row[i]), token)
            self.assertAlmostEqual(logprob(row, token), value, places=4)
        self.assertEqual(hashlib.sha256(data).hexdigest(), result["digest"])
        self.assertEqual([n for n in os.listdir(FOLDER) if n.startswith(".cria")], [])

    def test_results_replace_nothing_but_files(self):
        """Catches: a device, a pipe or a folder lost to --logits."""
        fifo = os.path.join(FOLDER, "fifo")
        os.mkfifo(fifo)
        for target in (fifo, FOLDER):
            result = generate("-p", "hello", "-n", "1", "--json", "--logits", target)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertIn("not replaced", result.stderr)
        for target in (fifo, FOLDER, "/dev/null"):
            self.assertEqual(generate("--jsonl", "-", "-o", target, stdin="{}").returncode, 1)

    def test_sampling(self):
        base = ["-p", "hello", "-n", "12", "--ignore-eos", "--json"]
        greedy = result_of(generate(*base))["tokens"]
        warm = result_of(generate(*base, "--temperature", "1.5", "--seed", "7"))["tokens"]
        self.assertEqual(warm, result_of(generate(*base, "--temperature", "1.5", "--seed", "7"))["tokens"])
        self.assertNotEqual(warm, result_of(generate(*base, "--temperature", "1.5", "--seed", "8"))["tokens"])
        self.assertEqual(greedy, result_of(generate(*base, "--temperature", "1.5", "--top-k", "1"))["tokens"])
        banned = result_of(generate(*base, "--logit-bias", f"{greedy[0]}=-100"))["tokens"]
        self.assertNotIn(greedy[0], banned)
        forced = result_of(generate(*base, "--logit-bias", "70=100"))["tokens"]
        self.assertEqual(forced, [70] * 12)

    def test_stop_and_end(self):
        text = result_of(generate("-p", "hello", "-n", "40", "--ignore-eos", "--json"))["text"]
        stop = text[len(text) // 2 :][:3]
        result = result_of(
            generate("-p", "hello", "-n", "40", "--ignore-eos", "--json", "--stop", "never there", "--stop", stop)
        )
        self.assertEqual((result["text"], result["finish_reason"]), (text[: text.index(stop)], "stop"))
        result = result_of(generate("-p", "hello", "-n", "40", "--json", "--logit-bias", "2=100"))
        self.assertEqual((result["text"], result["finish_reason"]), ("", "stop"))

    def test_context(self):
        result = generate("-p", "hello", "-n", "600")
        self.assertEqual(result.returncode, 1)
        self.assertIn("512", result.stderr)
        self.assertIn("600", result.stderr)
        ids = ",".join(["70"] * 500)
        result = result_of(generate("--ids", ids, "--ignore-eos", "--json"))  # no -n: as many as fit
        self.assertEqual(len(result["tokens"]), 12)
        result = generate("--ids", ",".join(["70"] * 513), "--json")
        self.assertEqual(result.returncode, 1)
        self.assertIn("513", result.stderr)

    def test_ids_outside_the_vocabulary(self):
        result = generate("--ids", "1,331", "--json")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("331", result.stderr)


class Lines(unittest.TestCase):
    """Catches: a line whose result depends on its neighbours or its place, results in another order, a bad line that
    spoils the others, an interrupted run that repeats or loses a line."""

    TEXTS = ["hello", "hello there, this is a longer line", "x", "hello there, this is another", "été"] * 3
    OPTIONS = ["-n", "9", "--ignore-eos", "--temperature", "0.8", "--seed", "3"]

    def lines(self):
        objects = [{"text": text, "source": i} for i, text in enumerate(self.TEXTS)]
        objects.append({"ids": [1, 70, 71]})
        objects.append({"messages": [{"role": "user", "content": "hello"}]})
        return objects

    def input(self):
        return write("lines.jsonl", "".join(json.dumps(o) + "\n" for o in self.lines()))

    def test_each_line_as_if_alone(self):
        expected = []
        for o in self.lines():
            form = ["-p", o["text"]] if "text" in o else None
            if "ids" in o:
                form = ["--ids", ",".join(map(str, o["ids"]))]
            if form:
                expected.append(without_timings(result_of(generate(*form, *self.OPTIONS, "--json"))))
            else:
                expected.append(
                    without_timings(json.loads(generate("--jsonl", "-", *self.OPTIONS, stdin=json.dumps(o)).stdout))
                )
        for more in (["--batch", "1"], ["--batch", "4"], ["--batch", "64", "--no-prefix-cache"]):
            result = generate("--jsonl", self.input(), *self.OPTIONS, *more)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual(
                [without_timings(json.loads(line)) for line in result.stdout.splitlines()], expected, more
            )

    def test_bad_lines(self):
        lines = [
            '{"text": "hello"}',
            "nonsense",
            "",
            '{"text": "a", "ids": [1]}',
            '{"ids": [9999]}',
            '{"ids": []}',
            '{"other": 1}',
            '{"messages": [{"role": 5}]}',
            '{"text": "hello"}',
        ]
        result = generate("--jsonl", "-", "-n", "3", "--ignore-eos", stdin="\n".join(lines))
        got = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(["error" in o for o in got], [False] + [True] * 6 + [False])
        self.assertEqual(without_timings(got[0]), without_timings(got[-1]))
        for o, number in zip(got[1:-1], (2, 4, 5, 6, 7, 8)):
            self.assertIn(f"line {number}", o["error"])
        self.assertEqual(
            (result.returncode, result.stderr), (1, "cria: 6 of 8 lines failed; each says why in its `error`\n")
        )

    def test_goes_on(self):
        whole = os.path.join(FOLDER, "whole.jsonl")
        self.assertEqual(generate("--jsonl", self.input(), "-o", whole, *self.OPTIONS).returncode, 0)
        with open(whole, encoding="utf-8") as f:
            expected = f.read().splitlines()
        for kept, tail in (
            (0, ""),
            (1, ""),
            (7, '{"prompt_tok'),
            (len(expected), ""),
            (len(expected) - 1, expected[-1][:-1]),
        ):
            part = write("part.jsonl", "".join(line + "\n" for line in expected[:kept]) + tail)
            result = generate("--jsonl", self.input(), "-o", part, *self.OPTIONS)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
            with open(part, encoding="utf-8") as f:
                got = f.read().splitlines()
            self.assertEqual(got[:kept], expected[:kept])
            self.assertEqual(
                [without_timings(json.loads(a)) for a in got], [without_timings(json.loads(b)) for b in expected]
            )

    def test_goes_on_after_a_kill(self):
        source = write("many.jsonl", "".join(json.dumps({"text": f"line {i} of many"}) + "\n" for i in range(60)))
        target = os.path.join(FOLDER, "many-out.jsonl")
        command = [
            CRIA,
            "generate",
            "-m",
            tiny_model(),
            "--jsonl",
            source,
            "-o",
            target,
            "-n",
            "40",
            "--ignore-eos",
            "--batch",
            "4",
        ]
        process = subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while (
            time.monotonic() < deadline
            and not (os.path.exists(target) and os.path.getsize(target))
            and process.poll() is None
        ):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertEqual(
            subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, check=False).returncode, 0
        )
        with open(target, encoding="utf-8") as f:
            got = [without_timings(json.loads(line)) for line in f]
        fresh = generate("--jsonl", source, "-n", "40", "--ignore-eos")
        self.assertEqual(got, [without_timings(json.loads(line)) for line in fresh.stdout.splitlines()])

    def test_goes_on_and_remembers_failures(self):
        target = write("failed.jsonl", '{"error":"line 1: nonsense"}\n')
        result = generate(
            "--jsonl", "-", "-o", target, "-n", "2", "--ignore-eos", stdin='nonsense\n{"text": "a"}\n'
        )
        self.assertEqual(
            (result.returncode, result.stderr), (1, "cria: 1 of 2 lines failed; each says why in its `error`\n")
        )

    def test_output_of_something_else(self):
        target = write("longer.jsonl", "{}\n" * 5)
        result = generate("--jsonl", "-", "-o", target, stdin='{"text": "a"}\n')
        self.assertEqual(result.returncode, 1)
        self.assertIn("5 lines", result.stderr)


class Scores(unittest.TestCase):
    """Catches: scores of the wrong positions, windows that skip or repeat a token, rows and digest that disagree."""

    TEXT = "hello there, this is a text of some length; " * 3

    def test_fields(self):
        path = os.path.join(FOLDER, "scores.safetensors")
        result = result_of(perplexity("-p", self.TEXT, "--json", "--top", "3", "--logits", path))
        n = len(result["tokens"])
        self.assertEqual(len(result["logprobs"]), n - 1)
        self.assertAlmostEqual(result["nll"], -sum(result["logprobs"]) / (n - 1), places=5)
        self.assertAlmostEqual(result["perplexity"], math.exp(result["nll"]), delta=1e-3 * result["perplexity"])
        rows, data = read_logits(path)
        self.assertEqual(len(rows), n)
        self.assertEqual(hashlib.sha256(data).hexdigest(), result["digest"])
        for i, (row, value, top) in enumerate(zip(rows, result["logprobs"], result["top"])):
            self.assertAlmostEqual(logprob(row, result["tokens"][i + 1]), value, places=4)
            best = sorted(range(331), key=lambda k: (-row[k], k))[:3]
            self.assertEqual([entry["id"] for entry in top], best)
        self.assertEqual(len(result["top"]), n - 1)

    def test_forms_agree(self):
        result = result_of(perplexity("-f", write("score.txt", self.TEXT), "--json"))
        ids = ",".join(map(str, result["tokens"]))
        self.assertEqual(without_timings(result_of(perplexity("--ids", ids, "--json"))), without_timings(result))
        lines = perplexity(
            "--jsonl", "-", stdin=json.dumps({"text": self.TEXT}) + "\n" + json.dumps({"ids": result["tokens"]})
        )
        for line in lines.stdout.splitlines():
            self.assertEqual(without_timings(json.loads(line)), without_timings(result))
        page = perplexity("-p", self.TEXT).stdout
        self.assertIn(f"tokens {len(result['tokens'])}", page)

    def test_windows(self):
        ids = result_of(perplexity("-p", self.TEXT, "--json"))["tokens"]
        path = os.path.join(FOLDER, "windows.safetensors")
        context, stride = 20, 7
        result = result_of(
            perplexity(
                "--ids",
                ",".join(map(str, ids)),
                "--context",
                context,
                "--stride",
                stride,
                "--json",
                "--logits",
                path,
            )
        )
        expected, begin, scored = [], 0, 1
        while scored < len(ids):
            window = ids[begin : begin + context]
            scores = result_of(perplexity("--ids", ",".join(map(str, window)), "--json"))["logprobs"]
            expected += scores[scored - begin - 1 :]
            scored = begin + len(window)
            begin += stride
        self.assertEqual(result["logprobs"], expected)
        rows, _ = read_logits(path)
        self.assertEqual(len(rows), len(ids))
        for i, value in enumerate(expected):
            self.assertAlmostEqual(logprob(rows[i], ids[i + 1]), value, places=4)

    def test_one_window_is_the_text(self):
        result = result_of(perplexity("-p", self.TEXT, "--json"))
        n = len(result["tokens"])
        self.assertEqual(
            without_timings(result_of(perplexity("-p", self.TEXT, "--json", "--context", n))),
            without_timings(result),
        )

    def test_too_long(self):
        result = perplexity("--ids", ",".join(["70"] * 600), "--json")
        self.assertEqual(result.returncode, 1)
        for part in ("600", "512", "--context", "--stride"):
            self.assertIn(part, result.stderr)
        self.assertEqual(
            perplexity("--ids", ",".join(["70"] * 600), "--context", "64", "--stride", "64").returncode, 2
        )
        self.assertEqual(perplexity("--ids", "70", "--json").returncode, 1)


if __name__ == "__main__":
    unittest.main()
