"""What the tests of training share: running ./cria train on a tiny model, and reading what a run wrote."""

import array
import atexit
import json
import os
import random
import shutil
import struct
import subprocess
import tempfile
import time

CRIA = os.environ.get("CRIA", "./cria")
SOURCE = os.environ.get("CRIA_SOURCE_DIR", os.getcwd())
MODELS = os.path.join(SOURCE, "tests/golden/models")
FOLDER = tempfile.mkdtemp(prefix="cria-train-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
ENVIRONMENT = dict(os.environ, XDG_DATA_HOME=os.path.join(FOLDER, "data"), HOME=FOLDER, LC_ALL="C.UTF-8")
MODEL = os.path.join(MODELS, "mha-f32")


def rows_file(name, n_rows, seed, lengths=(20, 60), n_ids=100):
    """A file of rows of random ids; its path."""
    numbers = random.Random(seed)
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="utf-8") as f:
        for _ in range(n_rows):
            f.write(json.dumps({"ids": [numbers.randrange(n_ids) for _ in range(numbers.randint(*lengths))]}) + "\n")
    return path


def command(*arguments):
    return [CRIA, *map(str, arguments)]


def run(*arguments, **more):
    """The completed process, with text output."""
    return subprocess.run(
        command(*arguments), capture_output=True, encoding="utf-8", env=ENVIRONMENT, timeout=300, check=False, **more
    )


def arguments(out, rows, *more, steps=40):
    """Those of a small run in the folder `out` (a name)."""
    return ["train", "--init", MODEL, "--rows", rows, "--steps", steps, "--lr", "1e-3", "--schedule", "constant",
            "--global-batch", "4", "--digest-every", "1", "--view", "off", "--out", os.path.join(FOLDER, out), *more]


def steps(out):
    """The lines of the log, one for each step, as objects."""
    with open(os.path.join(FOLDER, out, "log.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def lines_of(out):
    """How many whole lines the log has; 0 where there is none yet."""
    try:
        with open(os.path.join(FOLDER, out, "log.jsonl"), "rb") as f:
            return f.read().count(b"\n")
    except FileNotFoundError:
        return 0


def kill_after(out, run_arguments, n_lines, seconds):
    """Starts a run, waits until its log has grown by n_lines and then some seconds, and kills it (-9). Returns its
    status and what it said: a run that was quicker has ended by itself."""
    before = lines_of(out)
    with subprocess.Popen(
        command(*run_arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        while process.poll() is None and lines_of(out) - before < n_lines:
            before = min(before, lines_of(out))  # what is behind the checkpoint is cut first
            time.sleep(0.001)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        said = process.stderr.read()
        return process.wait(), said


def trace(out):
    """What has to be the same whatever happened on the way."""
    return [(s["step"], s["loss"], s["grad_norm"], s["lr"], s["tokens"], s["weights_digest"]) for s in steps(out)]


def checkpoints(out):
    """Steps that have a checkpoint, ascending."""
    folder = os.path.join(FOLDER, out, "checkpoints")
    if not os.path.isdir(folder):
        return []
    return sorted(int(name[5:]) for name in os.listdir(folder) if name.startswith("step-"))


def checkpoint(out, step):
    return os.path.join(FOLDER, out, "checkpoints", f"step-{step:08d}")


def tensors(path):
    """name -> floats of a safetensors file of f32."""
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
        data = f.read()
    result = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            assert tensor["dtype"] == "F32"
            begin, end = tensor["data_offsets"]
            result[name] = array.array("f", data[begin:end])
    return result
