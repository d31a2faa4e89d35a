"""Figures: what was measured beside what, as lines, as a table, and in the README.

In: numbers. Out: text, and which of the figures are not as wanted. Pure.
"""

import math
import re
import statistics
from dataclasses import dataclass, field

BEGIN, END = "<!-- bench:agent -->", "<!-- /bench:agent -->"
# Twice the work may take so much more than twice as long before it is worse than linear: noise is no law.
LINEAR = 1.25


@dataclass(frozen=True)
class Wanted:
    """A bound: `most` when less is better."""

    bound: float
    most: bool = True

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.most else value >= self.bound


@dataclass(frozen=True)
class Figure:
    """One measured value, and the same of each alternative, by its name, in the same run."""

    row: str
    what: str
    value: float
    unit: str
    beside: dict[str, float] = field(default_factory=dict)
    # Of the value, or, where `ratio` names an alternative, of the value as a multiple of that.
    wanted: Wanted | None = None
    ratio: str | None = None

    def judged(self) -> float | None:
        """What is held against the bound; `None` where the alternative was not measured."""
        if self.ratio is None:
            return self.value
        other = self.beside.get(self.ratio)
        return self.value / other if other else None

    def is_missed(self) -> bool:
        judged = self.judged()
        return self.wanted is not None and judged is not None and not self.wanted.is_met(judged)

    def told(self) -> tuple[str, str, str]:
        """The value, the alternatives with their ratios, and the bound, each as text."""
        others = [
            f"{short(self.value / other)} times {name} ({short(other)} {self.unit})"
            for name, other in self.beside.items()
            if other
        ]
        if self.wanted is None:
            return f"{short(self.value)} {self.unit}", "; ".join(others), ""
        of = f"times {self.ratio}" if self.ratio else self.unit
        bound = f"at {'most' if self.wanted.most else 'least'} {short(self.wanted.bound)} {of}"
        return f"{short(self.value)} {self.unit}", "; ".join(others), bound

    def line(self) -> str:
        value, others, bound = self.told()
        parts = [f"{self.row}: {self.what}: {value}", others, bound and f"wanted {bound}"]
        return "; ".join(part for part in parts if part) + (": MISSED" if self.is_missed() else "")


def short(value: float) -> str:
    """Two digits that count, and no more after a hundred than before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def table(figures: list[Figure], machine: str) -> str:
    """A table in Markdown, with the machine it holds for."""
    lines = [f"Measured on {machine}.", "", "| what | doorward | beside | wanted |", "|---|---|---|---|"]
    for figure in figures:
        lines.append("| " + " | ".join([f"{figure.row}: {figure.what}", *figure.told()]) + " |")
    return "\n".join(lines)


def replaced(readme: str, new: str) -> str:
    """The README with this between the two markers."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before:
        raise ValueError(f"the file must hold {BEGIN} and, after it, {END}, each once")
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100), 1) - 1]


def slope(points: list[tuple[float, float]]) -> float:
    """How much more for one more, by least squares."""
    return statistics.linear_regression(*zip(*points)).slope


def worse_than_linear(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The steps, from one amount of work to the next, where what is added costs more apiece than what was there."""
    steps = []
    for (work, cost), (more, dearer) in zip(points, points[1:]):
        if dearer / more > LINEAR * cost / work:
            steps.append((work, more))
    return steps


def processor(cpuinfo: str) -> str:
    """The processor's name, how many there are, and the widest vector instructions it has, from /proc/cpuinfo."""
    name = re.search(r"^(?:model name|Model|Hardware)\s*: (.+)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", cpuinfo, re.MULTILINE)
    widest = next((it for it in ("avx512f", "avx2", "sse4_2", "asimd") if flags and it in flags[1].split()), "?")
    count = len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE))
    return f"{count} x {name[1].strip() if name else 'unknown'}, {widest}"
