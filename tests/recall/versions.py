"""The program of this checkout and that of the commit before, ready to be played.

In: a git checkout whose program has been built. Out: for either the commit, where its program lies, and the file its
results are kept in. It builds the commit before only when nothing is kept of it, in a work tree and a target folder of
their own: Cargo takes what it has built of one work tree for what belongs to another.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Version:
    """One program."""

    # Its commit, or what stands for it.
    name: str
    program: Path
    # Of the set's name; none are kept of a work tree that has been changed.
    results: Path | None


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", root, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def here(root: Path, kept: Path, program: Path, measured: str) -> tuple[Version, str]:
    """The program of the checkout as it is, and the commit it is to be compared with."""
    head = git(root, "rev-parse", "HEAD")
    changed = bool(git(root, "status", "--porcelain", "--", "src", "crates", "Cargo.toml", "Cargo.lock", "models"))
    # It may be built again while the recordings are played.
    copy = kept / "programs" / (f"{head}-changed" if changed else head)
    # What was measured before is known by its results.
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir(parents=True)
    shutil.copy2(program, copy)
    results = None if changed else kept / "results" / f"{head}-{measured}.json"
    return Version(copy.name, copy, results), head if changed else f"{head}^"


def before(root: Path, kept: Path, revision: str, measured: str, tell) -> Version:
    """Another commit's program; it is built unless its results are there."""
    commit = git(root, "rev-parse", f"{revision}^{{commit}}")
    version = Version(commit, kept / "programs" / commit, kept / "results" / f"{commit}-{measured}.json")
    if version.results.exists():
        return version
    tell(f"building {commit[:12]} to compare with")
    tree = kept / "before"
    if (tree / ".git").exists():
        git(tree, "checkout", "--quiet", "--detach", commit)
    else:
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--quiet", "--detach", str(tree), commit)
    target = kept / "build"
    build = [os.environ.get("CARGO", "cargo"), "build", "--locked", "--quiet"]
    subprocess.run(build, cwd=tree, env=os.environ | {"CARGO_TARGET_DIR": str(target)}, check=True)
    shutil.copy2(target / "debug/doorward", version.program)
    return version
