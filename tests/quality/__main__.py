"""How well quality predicts recognition, and whether other weights and ramps would do so better.

    python tests/quality --program target/debug/doorward --models models --shared ../shared

In: the program, the models folder, the shared test data. Out: tables, and exit code 1 where the program's numbers are
not the script's any more, or where others win on people they were not fitted to. What was measured is kept with
`--measured FILE`, and read from there the next time.
"""

import argparse
import os
import pickle
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent / "recall"))

import numpy as np  # noqa: E402

import faces as pictures  # noqa: E402
import fit  # noqa: E402
import measure  # noqa: E402
import people  # noqa: E402
import scale  # noqa: E402
import tables  # noqa: E402

# Of the program's scores and totals, which it tells with three digits: more is another formula.
ALIKE = 0.02


def main() -> int:
    arguments = parse()
    os.environ["DOORWARD_MODELS_DIR"] = str(arguments.models.resolve())
    measured, tried = kept(arguments)
    values = scale.values_of([it.quality for it in measured])
    print(f"{len(measured)} faces found in {tried} pictures\n")
    apart = {part: much for part, much in scale.disagreement(values).items() if much > ALIKE}
    if apart:
        told = ", ".join(f"{part} by {much:.3f}" for part, much in apart.items())
        print(f"MISSED scale.py is not what the program computes any more: {told}")
        return 1
    everybody = fit.Faces(
        values,
        np.array([[it.recognised[model] for model in measure.MODELS] for it in measured]),
        np.array([it.sample.person for it in measured]),
        np.array([it.sample.source for it in measured]),
    )
    halves = [everybody.only(np.flatnonzero([it.sample.half == half for it in measured])) for half in (0, 1)]
    program = scale.Scale(weights=values.weights)
    better = compare(everybody, halves, program)
    print(tables.missed_by_total(everybody, {"by hand": scale.BY_HAND, "program": program}), end="\n\n")
    print(tables.turned_away(everybody, program), end="\n\n")
    print(tables.by_height(everybody), end="\n\n")
    print(tables.by_difference(everybody, program), end="\n\n")
    print(tables.by_threshold(measured), end="\n\n")
    moved = tables.from_frame_to_frame(measured)
    if moved is not None:
        print(f"from one frame of a recording to the next looked at, the total changes by {moved:.3f} (median)")
    if better:
        print("MISSED other numbers predict recognition better than the program's, of people they were not fitted to")
    return int(better)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, required=True, help="the doorward to measure with")
    parser.add_argument("--models", type=Path, required=True, help="the models folder")
    parser.add_argument("--shared", type=Path, required=True, help="the shared test data")
    parser.add_argument("--measured", type=Path, help="where what was measured is kept; made when it is not there")
    return parser.parse_args()


def kept(arguments: argparse.Namespace) -> tuple[list[measure.Measured], int]:
    """What was measured, now or before, and of how many pictures."""
    if arguments.measured and arguments.measured.exists():
        return pickle.loads(arguments.measured.read_bytes())
    cast = people.cast(arguments.shared.resolve(), arguments.models.resolve())
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        samples, enrolled = pictures.make(cast, arguments.program.resolve(), Path(folder))
        print(f"{len(samples)} pictures are made", file=sys.stderr, flush=True)
        everything = measure.measure(arguments.program, Path(folder), samples, enrolled), len(samples)
    if arguments.measured:
        arguments.measured.write_bytes(pickle.dumps(everything))
    return everything


def compare(everybody: fit.Faces, halves: list[fit.Faces], program: scale.Scale) -> bool:
    """Tells how well each scale orders faces; whether one fitted to half of the people wins on the other half."""
    print(tables.ORDER_HEADER)
    fitted = [fit.search(half, program) for half in halves]
    rows = {"by hand": scale.BY_HAND, "program": program, "fitted to A": fitted[0], "fitted to B": fitted[1]}
    for name, one in rows.items():
        print(tables.order_row(name, one, halves))
    scales = {
        "by hand": (scale.BY_HAND, scale.BY_HAND),
        "program": (program, program),
        "fitted": fitted,
        "fitted anew": [fit.search(half, scale.BY_HAND) for half in halves],
    }
    checked = {name: tables.checked(halves, pair) for name, pair in scales.items()}
    order = fit.joined(halves)
    print("\nFitted to one half, checked on the other, both ways:")
    wins = {}
    for first, other in (("by hand", "fitted anew"), ("program", "fitted")):
        much, low, high = fit.gain(order, checked[first], checked[other])
        wins[first] = low > 0
        print(f"  {other} against {first}: {much:+.3f}, 95 % of draws {low:+.3f} to {high:+.3f}")
    for name, start in (("by hand", scale.BY_HAND), ("the program", program)):
        best = fit.search(everybody, start)
        print(f"  fitted to everybody, from {name}: {fit.as_before(everybody, best, start)}")
    print()
    return wins["program"]


if __name__ == "__main__":
    sys.exit(main())
