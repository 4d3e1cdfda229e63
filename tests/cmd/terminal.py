"""A person at a terminal: the program on a pseudo-terminal, what it shows, and keys for it."""

import os
import pty
import re
import select
import signal
import time

from program import CRIA, ENVIRONMENT


class Terminal:
    """The program on a pseudo-terminal."""

    def __init__(self, *arguments, environment=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(CRIA, [CRIA, *arguments], environment or ENVIRONMENT)
        self.seen = ""

    def expect(self, pattern, timeout=60):
        """Reads until the pattern comes; returns the match and drops what was before."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end() :]
                return match
            if not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"{pattern!r} did not come; seen: {self.seen!r}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the program ended before {pattern!r}; seen: {self.seen!r}")
            self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode("utf-8", "replace")).replace("\r", "")

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self, timeout=30):
        """The exit status, after what is left was read."""
        deadline = time.monotonic() + timeout
        while select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        else:
            raise AssertionError(f"the program does not end; seen: {self.seen!r}")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)
