"""What the whole agent costs, and how fast it is, beside its alternatives in the same run.

    python benches/agent --program target/release/doorward --models models --only idle,memory --write README.md

In: the program, the models folder with the pictures of packages, and the shared test data where it is there. Out: a
line per figure with what it is held against, and with `--write` a table of them between two comments of a README. Clips
are made once, below `target/bench`. Other work on the machine disturbs the figures, and their ratios less.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from clips import Clips
from figures import Figure, processor, replaced, table
from rows import ROWS, Bench
from running import door


def main():
    arguments = parse()
    os.environ["DOORWARD_MODELS_DIR"] = str(arguments.models.resolve())
    machine = processor(Path("/proc/cpuinfo").read_text())
    say(f"on {machine}")
    if arguments.write:
        # Not only after a quarter of an hour.
        write(arguments.write, "")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        engine = door.Engine(arguments.program, Path(folder))
        try:
            figures = measure(arguments, engine)
        finally:
            engine.stop()
    missed = [figure for figure in figures if figure.is_missed()]
    say(f"{len(missed)} of {sum(it.wanted is not None for it in figures)} bounds are missed")
    if arguments.write:
        write(arguments.write, table(figures, machine))


def measure(arguments: argparse.Namespace, engine: door.Engine) -> list[Figure]:
    clips = Clips(arguments.program, arguments.models)
    engine.enrol(clips.enrolled())
    flat_seconds = 3600 if arguments.hour else 6 * arguments.seconds
    settings = (arguments.program, arguments.models, arguments.shared, arguments.seconds, flat_seconds)
    bench = Bench(*settings, engine, clips, say)
    if not bench.has_plain():
        say("no agent in Python to compare with: OpenCV's face detector needs yunet_n.onnx, and it mobilefacenet.onnx")
    figures = []
    for name in arguments.only:
        for figure in ROWS[name](bench):
            say(figure.line())
            figures.append(figure)
    return figures


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, required=True, help="the doorward to measure, a release build")
    parser.add_argument("--models", type=Path, required=True, help="the models folder, with the pictures of packages")
    parser.add_argument("--shared", type=Path, help="the shared test data, for its recordings")
    parser.add_argument("--only", type=names, default=list(ROWS), help=f"rows, with commas: {','.join(ROWS)}")
    parser.add_argument("--seconds", type=float, default=10, help="how long a live agent is watched [default: 10]")
    parser.add_argument("--hour", action="store_true", help="watch for an hour whether memory stays what it is")
    parser.add_argument("--write", type=Path, metavar="README", help="put the table into this file")
    arguments = parser.parse_args()
    for path in (arguments.program, arguments.models, *filter(None, [arguments.shared, arguments.write])):
        if not path.exists():
            parser.error(f"there is no {path}")
    return arguments


def names(text: str) -> list[str]:
    """Rows, separated by commas."""
    chosen = text.split(",")
    if unknown := [name for name in chosen if name not in ROWS]:
        raise argparse.ArgumentTypeError(f"there is no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return chosen


def write(file: Path, new: str):
    try:
        text = replaced(file.read_text(), new)
    except ValueError as error:
        raise SystemExit(f"{file}: {error}") from error
    if new:
        file.write_text(text)


def say(line: str):
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
