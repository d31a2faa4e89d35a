"""How often the liveness models are wrong: attacks taken for people (APCER), people for attacks (BPCER).

In: the program, the shared test data, the pictures that packages bring. Out: the shares for each model and for all of
them together on one shot, and for a visit of three shots, at several bounds; then by kind. ISO/IEC 30107-3 has the
terms, and asks for the worst kind of attack. Attacks are rendered by `attacks.py`; people are clips, photographs as
they are, and photographs as the camera would see them.

    target/venv/bin/python tests/liveness/measure.py target/debug/doorward ../shared --pictures models
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Iterator

import cv2
import numpy as np

import attacks

# Smaller faces are not sent: `quality.min_face_px`.
LEAST_PX = 48
# Of so many frames of a clip one is looked at.
EVERY = 5
# A photograph with a shorter side shows little but the face: nothing can be made of it that looks like a visit.
WIDE_PX = 300
# The clips whose faces are large enough.
CLIPS = ("face-demographics-walking-and-pause*", "head-pose-face-detection-*")
BOUNDS = (0.3, 0.4, 0.5, 0.6, 0.7)

# Whether it is an attack or a person, which kind, and the shots.
Visit = tuple[str, str, list[np.ndarray]]


def run(program: str, command: list[str], files: list[Path]) -> list[dict]:
    """The JSON lines of a command that goes through files; it may fail on some of them."""
    done = subprocess.run([program, *command, "--json", *map(str, files)], stdout=subprocess.PIPE, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if len(lines) != len(files):
        sys.exit(f"{' '.join(command)} ended with {done.returncode} after {len(lines)} of {len(files)} files")
    return lines


def photographs(program: str, files: list[Path]) -> list[attacks.Photo]:
    """Every face of the photographs that is large enough."""
    photos = []
    for file, line in zip(files, run(program, ["detect", "--min-score", "0.8"], files)):
        picture = cv2.imread(str(file))
        for number, face in enumerate(line["faces"]):
            if face["box"][3] >= LEAST_PX:
                photos.append(attacks.Photo(f"{file.stem}_{number}", picture, tuple(face["box"])))
    return photos


def clip_visits(program: str, clip: Path, scratch: Path) -> list[list[np.ndarray]]:
    """Shots of whoever is alone in a clip, in threes. Those of one clip are much alike: they count for less than as
    many visits would."""
    reader, frames, number = cv2.VideoCapture(str(clip)), [], 0
    while reader.grab():
        if number % EVERY == 0:
            frames.append(reader.retrieve()[1])
        number += 1
    files = [scratch / f"{clip.stem}_{number}.png" for number in range(len(frames))]
    for file, frame in zip(files, frames):
        cv2.imwrite(str(file), frame)
    alone = []
    for frame, line in zip(frames, run(program, ["detect", "--min-score", "0.7"], files)):
        # `liveness look` takes the largest face: it is clear whose that is where there is but one.
        if sum(face["box"][3] >= LEAST_PX for face in line["faces"]) == 1:
            alone.append(frame)
    for file in files:
        file.unlink()
    # Shots of one visit lie apart.
    visits = len(alone) // attacks.SHOTS
    return [alone[number::visits][: attacks.SHOTS] for number in range(visits)]


def visits_of(args: argparse.Namespace, scratch: Path) -> Iterator[Visit]:
    """Every presentation there is, one after the other: together they are gigabytes."""
    shared = args.shared
    small = photographs(args.program, sorted(shared.glob("photos/johns/*/*.jpg")))
    large = sorted(args.pictures.glob("sample?.jpg")) + [args.pictures / "astronaut.png"]
    large += [file for file in sorted(shared.glob("detection/*.jpg")) if file.stem != "dogs"]
    large = [photo for photo in photographs(args.program, large) if min(photo.picture.shape[:2]) >= WIDE_PX]
    shown = (small + large)[:: args.every]
    for kind, _, frames in attacks.visits(attacks.ATTACKS, shown):
        yield "attack", kind, frames
    for kind, _, frames in attacks.visits(attacks.PEOPLE, large):
        yield "person", kind, frames
    for photo in small:
        yield "person", "photograph, the face alone", [photo.picture]
    for photo in large:
        yield "person", "photograph, what is around", [attacks.cut(photo, 1.6)]
    for file in sorted(shared.glob("liveness/*.jpg")):
        kind = ("attack", "real screen or print") if "_F" in file.name else ("person", "camera")
        yield *kind, [cv2.imread(str(file))]
    for clip in sorted(clip for name in CLIPS for clip in (shared / "video").glob(name)):
        name = clip.name.split(".")[0].removeprefix("face-demographics-").removeprefix("head-pose-face-detection-")
        for frames in clip_visits(args.program, clip, scratch):
            yield "person", f"clip {name}", frames


def looked_at(program: str, visits: Iterator[Visit], scratch: Path) -> list[tuple[str, str, dict]]:
    """What the program says of each visit, whose shots are a folder's pictures, with what it is."""
    folders, kinds = [], []
    for number, (label, kind, frames) in enumerate(visits):
        kinds.append((label, kind))
        folders.append(scratch / f"visit{number}")
        folders[-1].mkdir()
        for shot, frame in enumerate(frames):
            cv2.imwrite(str(folders[-1] / f"{shot}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 98])
    lines = run(program, ["liveness", "look"], folders)
    return [(*kind, line) for kind, line in zip(kinds, lines)]


def report(looked: list[tuple[str, str, dict]]) -> None:
    judges: dict[str, dict[str, list]] = defaultdict(lambda: {"attack": [], "person": []})
    kinds: dict[tuple[str, str], list] = defaultdict(list)
    faceless = 0
    for label, kind, line in looked:
        shots = [shot for shot in line.get("shots", []) if "error" not in shot]
        faceless += not shots
        for shot in shots:
            for model, live in shot["models"].items():
                judges[model][label].append(live)
            judges["all of them, one shot"][label].append(shot["live"])
        if shots:
            judges["all of them, a visit"][label].append(line["live"])
            kinds[label, kind].append(line["live"])
    counts = {label: len(judges["all of them, a visit"][label]) for label in ("person", "attack")}
    print(f"{counts['person']} visits of people, {counts['attack']} attacks; {faceless} without a face left out")
    for bound in BOUNDS:
        print(f"\nbound {bound}: attacks that pass (APCER), people turned away (BPCER)")
        for judge, of in judges.items():
            passed, refused = np.mean(np.array(of["attack"]) >= bound), np.mean(np.array(of["person"]) < bound)
            print(f"  {judge:<24} {passed:7.1%} {refused:7.1%}")
    print("\nvisits by kind: number, mean, share below " + ", ".join(map(str, BOUNDS)))
    for (label, kind), lives in sorted(kinds.items()):
        below = " ".join(f"{np.mean(np.array(lives) < bound):7.1%}" for bound in BOUNDS)
        print(f"  {label:<7} {kind:<34} {len(lives):4} {np.mean(lives):6.2f} {below}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("shared", type=Path)
    parser.add_argument("--pictures", type=Path, default=Path("models"), help="where the packages' pictures are")
    parser.add_argument("--every", type=int, default=2, help="of so many photographs one is held up")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="liveness-") as folder:
        report(looked_at(args.program, visits_of(args, Path(folder)), Path(folder)))


if __name__ == "__main__":
    main()
