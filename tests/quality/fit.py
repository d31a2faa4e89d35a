"""Searches the numbers of quality by which it best tells faces that are recognised from those that are not.

In: what was measured of faces, who was recognised. Out: a `Scale`, how well one ranks, and how sure it is that one is
better than another. Steps along a table of round numbers until none of them gains anything: no number it gives is finer
than what it stands for. Sharpness and light can take each other's place for a while, so it begins at several places.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Iterator

import numpy as np

from scale import Scale, Values, totals

# No part may weigh nothing: one that is useless makes the whole useless.
WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
# What each ramp may begin and end at. A contrast of 40 would order faces by 0.005 better than one of 24, but then
# hardly any face of a plain camera would reach the upper half of the scale.
RAMPS = {
    "size": ((1 / 4, 1 / 3, 5 / 12, 1 / 2), (1.5, 2.0, 8 / 3)),
    "sharpness": ((0.06, 0.1, 0.14, 0.18, 0.22), (0.26, 0.3, 0.34, 0.38, 0.42, 0.46)),
    "pose": ((60.0, 70.0, 75.0, 80.0, 85.0, 90.0), (0.0, 10.0, 15.0, 20.0, 30.0)),
    "dark": ((0.0, 4.0, 8.0, 12.0, 16.0), (24.0, 32.0, 40.0, 60.0, 80.0)),
    "bright": ((256.0, 250.0, 245.0, 240.0), (220.0, 210.0, 200.0, 180.0, 160.0)),
    "contrast": ((0.0, 2.0, 4.0, 6.0), (8.0, 12.0, 16.0, 20.0, 24.0)),
    "truncation": ((0.3, 0.4, 0.5, 0.6, 0.8, 1.0), (0.0,)),
}
# A step must gain so much: less is chance.
LEAST_GAIN = 0.001
DRAWS = 300
# Between `quality.min_total` and where a shot is as good as any; what lies around it keeps its meaning.
MIDDLE = 0.45


def auc(total: np.ndarray, recognised: np.ndarray) -> float:
    """How often, of two faces of which one is recognised, it is the one with the higher total; a tie counts half."""
    right, pairs = ranked(total, recognised)
    return right / pairs if pairs else float("nan")


def ranked(total: np.ndarray, recognised: np.ndarray) -> tuple[float, int]:
    """Pairs of a recognised face and one that is not in which the former has the higher total, and all of them."""
    _, where, count = np.unique(total, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    yes, no = int(recognised.sum()), int((~recognised).sum())
    return float(rank[where][recognised].sum() - yes * (yes + 1) / 2), yes * no


@dataclass(frozen=True)
class Faces:
    """What was measured of faces."""

    values: Values
    # A row for each face, a column for each embedding model.
    recognised: np.ndarray
    person: np.ndarray
    # The photograph or recording.
    source: np.ndarray

    def only(self, rows: np.ndarray) -> "Faces":
        values = dataclasses.replace(self.values, **{
            name: getattr(self.values, name)[rows] for name in ("value", "score", "total")
        })
        return Faces(values, self.recognised[rows], self.person[rows], self.source[rows])


def joined(halves: list[Faces]) -> Faces:
    """One half after the other."""
    stacked = lambda name: np.concatenate([getattr(half.values, name) for half in halves])
    values = Values(stacked("value"), stacked("score"), stacked("total"), halves[0].values.weights)
    names = ("recognised", "person", "source")
    return Faces(values, *(np.concatenate([getattr(half, name) for half in halves]) for name in names))


def order(faces: Faces, total: np.ndarray) -> float:
    """The AUC of pairs of one person, the mean of the models: how well somebody is enrolled is no picture's doing."""
    right, pairs = np.zeros(faces.recognised.shape[1]), np.zeros(faces.recognised.shape[1])
    for name in np.unique(faces.person):
        rows = faces.person == name
        for model, column in enumerate(faces.recognised.T):
            more = ranked(total[rows], column[rows])
            right[model], pairs[model] = right[model] + more[0], pairs[model] + more[1]
    return float(np.mean(right / pairs))


def search(faces: Faces, start: Scale) -> Scale:
    """The best that is reached from `start` with its own ramp of the contrast, or with another to begin with."""
    begun = (start, *(start.with_(contrast=(0.0, one)) for one in RAMPS["contrast"][1]))
    reached = {climbed(faces, scale) for scale in begun}
    return max(reached, key=lambda scale: (order(faces, totals(faces.values, scale)), str(scale)))


def climbed(faces: Faces, best: Scale) -> Scale:
    """Each time the one change that gains most, as long as any does."""
    score = order(faces, totals(faces.values, best))
    while True:
        tried = [(order(faces, totals(faces.values, scale)), scale) for scale in around(best)]
        gained, scale = max(tried, key=lambda it: it[0])
        if gained < score + LEAST_GAIN:
            return best
        best, score = scale, gained


def around(scale: Scale) -> Iterator[Scale]:
    """Each weight and each ramp changed by itself."""
    for part in range(len(scale.weights)):
        for weight in WEIGHTS:
            yield scale.with_(weights=(*scale.weights[:part], weight, *scale.weights[part + 1 :]))
    for name, (zeros, ones) in RAMPS.items():
        yield from (scale.with_(**{name: ends}) for ends in itertools.product(zeros, ones))


def gain(faces: Faces, first: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """How much better `other` orders than `first`: the figure, and the range of 95 of 100 draws of the photographs."""
    numbers, names = np.random.default_rng(1), np.unique(faces.source)
    rows = {name: np.flatnonzero(faces.source == name) for name in names}
    draws = []
    for _ in range(DRAWS):
        drawn = np.concatenate([rows[name] for name in numbers.choice(names, len(names))])
        some = faces.only(drawn)
        draws.append(order(some, other[drawn]) - order(some, first[drawn]))
    low, high = np.percentile(draws, (2.5, 97.5))
    return order(faces, other) - order(faces, first), float(low), float(high)


def as_before(faces: Faces, scale: Scale, before: Scale) -> Scale:
    """The same order on the scale of `before`: all weights times one factor; as many faces then lie below `MIDDLE`."""
    share = float(np.mean(totals(faces.values, before) < MIDDLE))
    factor = np.log(MIDDLE) / np.log(np.quantile(totals(faces.values, scale), share))
    return scale.with_(weights=tuple(round(float(weight * factor), 2) for weight in scale.weights))
