"""The tables of `make quality`.

In: faces with what was measured of them, scales. Out: text. It decides nothing.
"""

import numpy as np

import fit
from measure import MODELS, Measured
from scale import MIN_FACE_PX, PARTS, Scale, totals

# What else a model could ask for, from the least strict on: a cosine grows with likeness, a distance shrinks.
THRESHOLDS = {
    "mobilefacenet": (0.35, 0.37, 0.39, 0.41, 0.43, 0.45, 0.47, 0.50),
    "faceapi_resnet": (0.60, 0.56, 0.54, 0.52, 0.50, 0.49, 0.48, 0.47, 0.46, 0.44),
}
ORDER_HEADER = f"{'order (AUC: ' + ', '.join(MODELS) + ')':44}{'people A':>24}{'people B':>24}"


def order_row(name: str, scale: Scale, halves: list[fit.Faces]) -> str:
    cells = []
    for half in halves:
        total = totals(half.values, scale)
        alone = ", ".join(f"{fit.auc(total, column):.3f}" for column in half.recognised.T)
        cells.append(f"{fit.order(half, total):.3f} ({alone})")
    weights = " ".join(f"{weight:g}" for weight in scale.weights)
    return f"{f'{name}: {weights}':44}" + "".join(f"{cell:>24}" for cell in cells)


def checked(halves: list[fit.Faces], scales) -> np.ndarray:
    """The totals of everybody, of each half by the scale of the other; in the order of `fit.joined`."""
    return np.concatenate([totals(half.values, scale) for half, scale in zip(halves, reversed(list(scales)))])


def share(values) -> str:
    return f"{100 * float(np.mean(values)):4.0f} %" if len(values) else "     -"


def by_threshold(measured: list[Measured], least: float = 0.5) -> str:
    """What each threshold takes for one person, of pairs of a face of some quality and an enrolled photograph."""
    good = [it for it in measured if it.quality["total"] >= least]
    lines = [f"Taken for one person, faces with a total of {least:g} and more against enrolled photographs:"]
    for model, thresholds in THRESHOLDS.items():
        own = np.array([value for it in good for value in it.likeness[model][0]])
        others = np.array([value for it in good for value in it.likeness[model][1]])
        sign = np.sign(thresholds[1] - thresholds[0])
        lines.append(f"{model}: of {len(own)} pairs of one person; of {len(others)} of two")
        for threshold in thresholds:
            right, wrong = (sign * values >= sign * threshold for values in (own, others))
            lines.append(f"  {threshold:5.2f}  {share(right)}  {int(wrong.sum()):6}")
    return "\n".join(lines)


def missed_by_total(faces: fit.Faces, scales: dict[str, Scale]) -> str:
    """How many of the faces of each tenth of the scale are not recognised."""
    lines = ["Missed, by total (" + ", ".join(MODELS) + "):"]
    lines.append(f"{'':10}" + "".join(f"{name:>26}" for name in scales))
    for tenth in range(10):
        cells = []
        for scale in scales.values():
            total = totals(faces.values, scale)
            rows = (total >= tenth / 10) & ((total < (tenth + 1) / 10) | (tenth == 9))
            cells.append(f"{rows.sum():6}: " + ", ".join(share(~column[rows]) for column in faces.recognised.T))
        lines.append(f"from {tenth / 10:.1f}  " + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines)


def turned_away(faces: fit.Faces, scale: Scale) -> str:
    """What a bound of the total costs, and what it spares: the faces of `quality.min_face_px` alone."""
    faces = faces.only(np.flatnonzero(faces.values.value[:, 0] >= MIN_FACE_PX))
    total = totals(faces.values, scale)
    lines = ["quality.min_total: turned away; of these recognised; of those sent missed (" + ", ".join(MODELS) + "):"]
    for bound in (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8):
        away = total < bound
        lost = ", ".join(share(column[away]) for column in faces.recognised.T)
        missed = ", ".join(share(~column[~away]) for column in faces.recognised.T)
        lines.append(f"{bound:6.2f}  {share(away)}   {lost}   {missed}")
    return "\n".join(lines)


def by_height(faces: fit.Faces) -> str:
    """How many faces of each height are missed, where nothing but the height is wrong with them."""
    others = [PARTS.index(part) for part in PARTS if part not in ("size", "sharpness")]
    # A small face is never called sharp.
    sharp = faces.values.value[:, PARTS.index("sharpness")] > 0.3
    sound = sharp & (faces.values.score[:, others] > 0.8).all(axis=1)
    height = faces.values.value[:, 0]
    lines = ["quality.min_face_px: faces with nothing else wrong, missed (" + ", ".join(MODELS) + "):"]
    edges = (16, 24, 32, 40, 48, 56, 64, 80, 96, 1000)
    for low, high in zip(edges, edges[1:]):
        rows = sound & (height >= low) & (height < high)
        missed = ", ".join(share(~column[rows]) for column in faces.recognised.T)
        lines.append(f"  from {low:3} px {rows.sum():5}: {missed}")
    return "\n".join(lines)


def by_difference(faces: fit.Faces, scale: Scale) -> str:
    """Of two faces of one person: how often the better one alone is recognised, and how often the other alone."""
    total = totals(faces.values, scale)
    rows = [np.flatnonzero(faces.person == name) for name in np.unique(faces.person)]
    first, second = np.concatenate([its[np.array(np.triu_indices(len(its), 1))] for its in rows], axis=1)
    swapped = total[first] < total[second]
    better, worse = np.where(swapped, second, first), np.where(swapped, first, second)
    apart = total[better] - total[worse]
    lines = ["track.better_by: of two faces of a person so far apart, the better alone is recognised; the worse alone:"]
    for low, high in ((0.0, 0.05), (0.05, 0.1), (0.1, 0.15), (0.15, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 1.0)):
        here = (apart >= low) & (apart < high) & (total[worse] >= 0.3)
        cells = [
            (share(column[better[here]] & ~column[worse[here]]), share(~column[better[here]] & column[worse[here]]))
            for column in faces.recognised.T
        ]
        lines.append(f"  {low:.2f} to {high:.2f}: " + "   ".join(f"{one}, {other}" for one, other in cells))
    return "\n".join(lines)


def from_frame_to_frame(measured: list[Measured]) -> float | None:
    """How much the total of one person changes between two frames of a recording that follow each other here."""
    steps, before = [], {}
    for it in measured:
        if it.sample.made[0] == "recording":
            who = (it.sample.person, it.sample.source)
            if who in before:
                steps.append(abs(it.quality["total"] - before[who]))
            before[who] = it.quality["total"]
    return float(np.median(steps)) if steps else None
