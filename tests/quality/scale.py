"""The program's quality, once more: from what was measured of a face to its parts' scores and the total.

In: measured values, ramps and weights. Out: scores and totals of all faces at once, as numpy arrays. It is a second
copy of `crates/faces/src/quality`, made to try other numbers; `disagreement` tells how far it is from the program,
also as

    python tests/quality/scale.py FILE

of a file with lines of `doorward detect --json`, which `make test` looks at.
"""

import dataclasses
import json
import sys
from dataclasses import dataclass

import numpy as np

# The default of `quality.min_face_px`.
MIN_FACE_PX = 48.0
PARTS = ("size", "sharpness", "pose", "exposure", "contrast", "truncation")


@dataclass(frozen=True)
class Scale:
    """Where each score is 0, where it is 1, and what it weighs. Those of the program."""

    # Heights, as multiples of `min_face_px`; between them the score goes by the logarithm.
    size: tuple[float, float] = (1 / 3, 2.0)
    sharpness: tuple[float, float] = (0.18, 0.42)
    # Degrees, a smooth step between.
    pose: tuple[float, float] = (85.0, 15.0)
    dark: tuple[float, float] = (8.0, 40.0)
    bright: tuple[float, float] = (250.0, 200.0)
    # Standard deviation of the brightness.
    contrast: tuple[float, float] = (0.0, 24.0)
    truncation: tuple[float, float] = (0.5, 0.0)
    # The weights, in the order of `PARTS`; `None`: those the program says it has.
    weights: tuple[float, ...] | None = None

    def with_(self, **changed) -> "Scale":
        return dataclasses.replace(self, **changed)


# Chosen by hand, before anything was fitted.
BY_HAND = Scale(size=(1 / 3, 8 / 3), contrast=(2.0, 8.0), weights=(0.5, 0.75, 0.75, 0.5, 0.5, 0.75))


@dataclass(frozen=True)
class Values:
    """What the program measured of many faces: a row each, a column for each part."""

    value: np.ndarray
    score: np.ndarray
    total: np.ndarray
    weights: tuple[float, ...]


def values_of(qualities: list[dict]) -> Values:
    """Of the `quality` of faces as `doorward detect --json` tells it."""
    column = lambda what: np.array([[it[part][what] for part in PARTS] for it in qualities], float)
    weights = column("weight")
    return Values(column("value"), column("score"), np.array([it["total"] for it in qualities]), tuple(weights[0]))


def ramp(value, zero_one: tuple[float, float]):
    zero, one = zero_one
    return np.clip((value - zero) / (one - zero), 0, 1)


def light(mean, scale: Scale):
    return np.minimum(ramp(mean, scale.dark), ramp(mean, scale.bright))


def scores(values: Values, scale: Scale, program: Scale = Scale()) -> np.ndarray:
    """The scores of the parts, a row for each face."""
    size, sharpness, pose, mean, deviation, outside = values.value.T
    step = ramp(pose, scale.pose)
    # Of the exposure the program tells the brightness; what clipping takes off is what is left of its score.
    lit = light(mean, program)
    rest = np.where(lit > 0, values.score[:, 3] / np.maximum(lit, 1e-9), 1.0)
    columns = [
        ramp(np.log2(np.maximum(size, 1e-9) / MIN_FACE_PX), tuple(np.log2(scale.size))),
        ramp(sharpness, scale.sharpness),
        step * step * (3 - 2 * step),
        light(mean, scale) * np.minimum(rest, 1.0),
        ramp(deviation, scale.contrast),
        ramp(outside, scale.truncation),
    ]
    return np.stack(columns, axis=1)


def totals(values: Values, scale: Scale) -> np.ndarray:
    """The product of the scores, each to the power of its weight."""
    return np.prod(scores(values, scale) ** np.array(scale.weights or values.weights), axis=1)


def disagreement(values: Values) -> dict[str, float]:
    """The largest difference between the program and this file with the program's numbers, by part, and of the total.
    It tells three digits: of faces with a part near 0, whose root is far from it, the total cannot be told again."""
    worst = np.abs(scores(values, Scale()) - values.score).max(axis=0)
    told = (values.score > 0.02).all(axis=1)
    total = float(np.abs(totals(values, Scale()) - values.total)[told].max(initial=0.0))
    return {**dict(zip(PARTS, map(float, worst))), "total": total}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as lines:
        told = [face["quality"] for line in lines for face in json.loads(line)["faces"]]
    print(json.dumps(disagreement(values_of(told))))
