"""tools/setup on machines made of stand-in commands.

The failures to catch: a setup that asks the network although nothing is missing, that misses a package, that asks a
question, or that goes on after apt-get failed.
"""
import os
import subprocess
import tempfile
import unittest

SETUP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "setup")
LOG = 'echo "$(basename "$0") $* [$DEBIAN_FRONTEND]" >> "$LOG"\n'
ALL_HERE = 'for p in "$@"; do case $p in -*|\'$\'*) ;; *) echo "$p installed" ;; esac; done\n'
NONE_HERE = "exit 1\n"


class Setup(unittest.TestCase):
    def run_setup(self, commands, *arguments):
        """(exit status, what it said, what the stand-ins were asked)"""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("bash", "mktemp", "cat", "rm", "env", "basename"):
                path = next(p for p in (f"/usr/bin/{name}", f"/bin/{name}") if os.path.exists(p))
                os.symlink(path, os.path.join(folder, name))
            for name, body in commands.items():
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as f:
                    f.write("#!/bin/bash\n" + LOG + body)
                os.chmod(path, 0o755)
            log = os.path.join(folder, "log")
            done = subprocess.run(["/bin/bash", SETUP, *arguments], env={"PATH": folder, "LOG": log, "TMPDIR": folder},
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
            asked = ""
            if os.path.exists(log):
                with open(log, encoding="utf-8") as f:
                    asked = f.read()
        return done.returncode, done.stdout + done.stderr, asked

    def test_nothing_missing(self):
        code, said, asked = self.run_setup({"dpkg-query": ALL_HERE, "apt-get": "", "id": "echo 0"}, "check", "fresh")
        self.assertEqual((code, said), (0, ""))
        self.assertNotIn("apt-get", asked)

    def test_root_installs(self):
        code, said, asked = self.run_setup({"dpkg-query": NONE_HERE, "apt-get": "", "id": "echo 0"}, "build")
        self.assertEqual(code, 0, said)
        self.assertIn("apt-get update [noninteractive]", asked)
        self.assertIn("apt-get install -y", asked)
        self.assertIn(" libonig-dev ", asked)
        self.assertNotIn("clang", asked)

    def test_sudo_installs(self):
        commands = {"dpkg-query": NONE_HERE, "apt-get": "", "id": "echo 1000",
                    "sudo": 'while [[ $1 == -* ]]; do shift; done; "$@"', "true": ""}
        code, said, asked = self.run_setup(commands, "build")
        self.assertEqual(code, 0, said)
        self.assertIn("sudo -n", asked)
        self.assertIn("apt-get install -y", asked)

    def test_neither_root_nor_sudo(self):
        commands = {"dpkg-query": NONE_HERE, "apt-get": "", "id": "echo 1000", "sudo": "exit 1"}
        code, said, asked = self.run_setup(commands, "build")
        self.assertEqual(code, 1)
        self.assertIn("apt-get install gcc", said)
        self.assertNotIn("apt-get", asked)

    def test_failed_install(self):
        code, said, _ = self.run_setup({"dpkg-query": NONE_HERE, "apt-get": "echo broken mirror; exit 100",
                                        "id": "echo 0"}, "build")
        self.assertEqual(code, 1)
        self.assertIn("broken mirror", said)

    def test_other_system(self):
        code, said, _ = self.run_setup({"gcc": "", "pkg-config": 'exit "$([[ $2 == libcrypto ]]; echo $?)"'}, "build")
        self.assertEqual(code, 1)
        self.assertIn("    libonig-dev\n", said)
        self.assertNotIn("    gcc\n", said)
        self.assertNotIn("    libssl-dev\n", said)

    def test_unknown_group(self):
        code, said, _ = self.run_setup({}, "everything")
        self.assertEqual(code, 1)
        self.assertIn("unknown group 'everything'", said)


if __name__ == "__main__":
    unittest.main()
