"""A disk that fails below the program: the i-th call that changes it is refused, whichever file it was for.

A library put before the C library's refuses one call of a whole run (log, TensorBoard's file, run.json, checkpoints,
model) with ENOSPC or EIO. Fails where a run then says success without having what it should, ends otherwise than with
0 or 1, or leaves what the same call cannot go on from to the same weights. Every call is tried once in some seconds of
many runs: SEED picks which of them this time, unless ALL_CALLS is set.
"""

import errno
import os
import random
import shutil
import subprocess
import unittest

import training

SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
STRIDE = 1 if os.environ.get("ALL_CALLS") else 24

LIBRARY = r"""
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

static long n_calls, refused_at, reason;

__attribute__((constructor)) static void begin(void) {
    refused_at = atol(getenv("REFUSE_AT"));
    reason = atol(getenv("REFUSE_WITH"));
}
__attribute__((destructor)) static void end(void) {
    FILE *f = fopen(getenv("REFUSE_COUNT"), "w");
    if (f) fprintf(f, "%ld", n_calls), fclose(f);
}
static int refuses(void) {
    if (__atomic_add_fetch(&n_calls, 1, __ATOMIC_SEQ_CST) != refused_at) return 0;
    errno = (int)reason;
    return 1;
}
#define CALL(type, name, parameters, arguments, condition)                \
    type name parameters {                                                \
        type(*next) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        return (condition) && refuses() ? (type)-1 : next arguments;      \
    }
CALL(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), fd > 2)
CALL(int, fsync, (int fd), (fd), 1)
CALL(int, rename, (const char *from, const char *to), (from, to), 1)
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), 1)
CALL(int, ftruncate, (int fd, off_t n), (fd, n), 1)
CALL(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), 1)
"""


@unittest.skipIf("ASAN_OPTIONS" in os.environ, "the sanitizer's library has to be the first one")
class Calls(unittest.TestCase):
    def setUp(self):
        self.rows = training.rows_file("calls.jsonl", 16, 5)
        self.library = os.path.join(training.FOLDER, "refuse.so")
        self.count = os.path.join(training.FOLDER, "calls")
        subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-x", "c", "-", "-o", self.library, "-ldl"],
                       input=LIBRARY, text=True, check=True)

    def run_with(self, out, refused_at, reason):
        environment = dict(training.ENVIRONMENT, LD_PRELOAD=self.library, REFUSE_AT=str(refused_at),
                           REFUSE_WITH=str(reason), REFUSE_COUNT=self.count)
        return subprocess.run(self.command(out), env=environment, capture_output=True, text=True, timeout=120,
                              check=False)

    def command(self, out):
        return training.command(*training.arguments(
            out, self.rows, "--checkpoint-every", "1", "--threads", "1", steps=4))

    def test_every_call(self):
        print("seed", SEED)
        self.assertEqual(self.run_with("calls-whole", 0, 0).returncode, 0)
        with open(self.count, encoding="ascii") as f:
            n_calls = int(f.read())
        self.assertGreater(n_calls, 200)
        expected = training.trace("calls-whole")
        for reason in (errno.ENOSPC, errno.EIO):
            for i in range(1 + (SEED + reason) % STRIDE, n_calls + 1, STRIDE):
                shutil.rmtree(os.path.join(training.FOLDER, "calls-refused"), ignore_errors=True)
                result = self.run_with("calls-refused", i, reason)
                self.assertIn(result.returncode, (0, 1), f"call {i}: {result.stderr}")
                if result.returncode:
                    self.assertIn(training.FOLDER, result.stderr, f"call {i}")  # the file is named
                again = subprocess.run(self.command("calls-refused"), env=training.ENVIRONMENT, capture_output=True,
                                       text=True, timeout=120, check=False)
                self.assertEqual(again.returncode, 0, f"call {i}: {result.stderr} {again.stderr}")
                self.assertNotIn("refused", again.stderr, f"call {i}")
                self.assertEqual(training.trace("calls-refused"), expected, f"call {i}")


if __name__ == "__main__":
    unittest.main()
