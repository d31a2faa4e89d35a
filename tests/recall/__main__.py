"""How many of those who could be recognised are: plays a labelled set of visits through the real program, and compares.

    python tests/recall --program target/debug/doorward --models models --shared ../shared

In: the program, the models folder, the shared test data where it is there. Out: tables for both subjects beside those
of the commit before, and exit code 1 with what is not as it must be. Everything made on the way is kept below
`target/recall`: the recordings, who could be recognised in them, and the results of each commit.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import judge
import oracle
import people
import program
import render
import scenes
import versions

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "target/recall"
SUBJECTS = ("each", "largest")
# With more of the frames lost than this the figures say little of the program, and much of the machine.
MOST_DROPPED = 0.02
# Of the processors searching may take at most, and recordings watched at a time: the rest of the program, and the
# engine's answers, take about as much again.
BUSY, MOST_TOGETHER = 0.6, 5


def main() -> int:
    arguments = parse()
    code = 0 if arguments.pair else measure(arguments, arguments.models, KEPT)
    for pair in arguments.pair or []:
        say(f"the models {pair}")
        folder = KEPT / pair
        code |= measure(arguments, only(pair, arguments.models, folder / "models"), folder)
    return code


def measure(arguments: argparse.Namespace, models: Path, kept: Path) -> int:
    """Plays the set with these models and tells of it; what is made on the way is kept in a folder of its own."""
    os.environ["DOORWARD_MODELS_DIR"] = str(models)
    cast = people.cast(arguments.shared, models)
    listed = scenes.scenes(cast.known(), cast.strangers(), cast.video is not None)
    listed = [scene for scene in listed if not arguments.kind or scene.kind in arguments.kind]
    if not listed:
        raise SystemExit(f"no scene is of the kind {', '.join(arguments.kind)} (the recordings need --shared)")
    say(f"{len(listed)} scenes with the pictures of {cast.name}")
    truth_file = render.render(cast, listed, arguments.program, kept)
    folder, truth = truth_file.parent, json.loads(truth_file.read_text())
    recognisable = oracle.recognisable(truth, folder, arguments.program, say)
    now, base = versions.here(ROOT, kept, arguments.program, truth["set"])
    played = {"now": play(now, truth, folder, arguments)}
    if arguments.base != "none":
        before = versions.before(ROOT, kept, arguments.base or base, truth["set"], say)
        earlier = before.results.exists() and json.loads(before.results.read_text())
        played["before"] = earlier or play(before, truth, folder, arguments)
    return report(truth, recognisable, played, arguments)


def only(pair: str, models: Path, folder: Path) -> Path:
    """A models folder in which `auto` has but this detector and this embedder, as `yunet_n+mobilefacenet`, to take."""
    wanted = {f"{name}.onnx" for name in pair.split("+")}
    missing = wanted - {file.name for file in models.iterdir()}
    if missing:
        raise SystemExit(f"--pair {pair}: there is no {' and no '.join(sorted(missing))} in {models}")
    folder.mkdir(parents=True, exist_ok=True)
    for file in models.iterdir():
        link = folder / file.name
        if file.is_file() and not link.exists() and (file.suffix != ".onnx" or file.name in wanted):
            link.symlink_to(file)
    return folder


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, required=True, help="the doorward to measure, built from this checkout")
    parser.add_argument("--models", type=Path, required=True, help="the models folder, with the pictures of packages")
    parser.add_argument("--shared", type=Path, help="the shared test data; without it only what packages bring")
    against = "what to compare with, or none [default: HEAD if there are changes, else HEAD^]"
    parser.add_argument("--base", metavar="COMMIT", help=against)
    parser.add_argument("--subject", choices=SUBJECTS, action="append", help="only this one; its results are not kept")
    parser.add_argument("--kind", action="append", help="only scenes of this kind, such as recording")
    pair = "with this detector and embedder in place of the best ones, such as yunet_n+mobilefacenet"
    parser.add_argument("--pair", action="append", help=pair)
    door = "with a door that two of three answers open, and when it does; its results are not kept"
    parser.add_argument("--door", action="store_true", help=door)
    parser.add_argument("--verbose", action="store_true", help="tell of every visit that was not as it should be")
    arguments = parser.parse_args()
    for name in ("program", "models", "shared"):
        path = getattr(arguments, name)
        setattr(arguments, name, path and path.resolve())
    return arguments


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def play(version: versions.Version, truth: dict, folder: Path, arguments: argparse.Namespace) -> dict:
    """Plays all recordings for each subject; what was recorded is kept by the commit."""
    played, subjects = {}, arguments.subject
    for subject in subjects or SUBJECTS:
        say(f"{version.name[:12]} watches with subject = {subject}")
        with program.engine(version.program) as engine:
            photos = {name: [folder / file for file in files] for name, files in truth["enrolled"].items()}
            played[subject] = {"names": engine.enrol(photos), "visits": [], "detectors": [], "opened": {}}
            for lanes in together(version.program, truth, folder):
                for recorded in watched(version.program, engine, lanes, subject, arguments.door):
                    played[subject]["opened"] |= recorded.pop("opened")
                    for what, found in recorded.items():
                        played[subject][what] += found
    if version.results and not subjects and not arguments.door:
        version.results.parent.mkdir(parents=True, exist_ok=True)
        version.results.write_text(json.dumps(played))
    return played


def watched(doorward: Path, engine: program.Engine, lanes: list[Path], subject: str, door: bool) -> list[dict]:
    """What was recorded of recordings watched together; of each by itself where together they were too much for this
    machine."""
    with tempfile.TemporaryDirectory(prefix="recall-") as scratch:
        recorded = program.watch(doorward, engine, lanes, subject, Path(scratch), quiet(), door)
    dropped, received = (sum(it[count] for it in recorded["detectors"]) for count in ("dropped", "received"))
    if len(lanes) == 1 or dropped <= MOST_DROPPED * received:
        return [recorded]
    say(f"{dropped} of {received} frames were dropped: these {len(lanes)} recordings again, one after the other")
    return [again for lane in lanes for again in watched(doorward, engine, [lane], subject, door)]


def together(doorward: Path, truth: dict, folder: Path) -> list[list[Path]]:
    """The recordings, the longest first, in groups of as many as this machine can watch at the same time."""
    lanes = sorted(truth["lanes"], key=seconds, reverse=True)
    picture = folder / next(iter(truth["enrolled"].values()))[0]
    able = (os.cpu_count() or 1) * BUSY * 1000 / (program.searched_ms(doorward, picture) * scenes.FPS)
    many = min(max(int(able), 1), MOST_TOGETHER)
    return [[folder / lane["file"] for lane in lanes[at : at + many]] for at in range(0, len(lanes), many)]


def seconds(lane: dict) -> float:
    return lane["frames"] / lane["fps"]


def quiet():
    """Tells how it goes, twice a minute."""
    last = time.monotonic()

    def tell(what: str) -> None:
        nonlocal last
        if time.monotonic() - last > 30:
            last = time.monotonic()
            say(what)

    return tell


def report(truth: dict, recognisable: dict, played: dict, arguments: argparse.Namespace) -> int:
    """Prints the tables and what is missed; 1 where anything is."""
    missed = []
    for subject in arguments.subject or SUBJECTS:
        runs = {when: judge.judge(truth, recognisable, all_of[subject]) for when, all_of in played.items()}
        other = runs.get("before")
        now, before = judge.figures(runs["now"], other), other and judge.figures(other, runs["now"])
        print(judge.table(subject, now, before), end="\n\n")
        if arguments.verbose:
            print("\n".join(judge.failures(runs["now"])), end="\n\n")
        what = {"door": arguments.door, "part": bool(arguments.kind)}
        missed += [f"{subject}: {line}" for line in judge.missed(now["all"], before and before["all"], **what)]
        for when, run in runs.items():
            if run.dropped > MOST_DROPPED * run.received:
                missed.append(f"{subject}, {when}: {run.dropped} of {run.received} frames were dropped, play it again")
    able = sum(right > 0 for right, _ in recognisable.values())
    visits = [visit for lane in truth["lanes"] for visit in lane["visits"]]
    print(f"set {truth['set']}: {len(visits)} visits, {len(recognisable)} of enrolled people, {able} recognisable")
    for line in missed:
        print(f"MISSED {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
