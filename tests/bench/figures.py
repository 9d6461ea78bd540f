"""What is made of samples: medians, spreads, ratios within a round, and whether a target holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Samples = Mapping[int, float]
"""One value a round, by the number of the round: a slow peer takes part in some rounds only."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked of a figure: of its ratio, or of the value itself where that is a count, a share or a size."""

    limit: float
    at_least: bool = False
    of_value: bool = False

    def holds(self, figure: float) -> bool:
        """Whether a figure meets it."""
        return figure >= self.limit if self.at_least else figure <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: one thing measured of one program."""

    row: str
    what: str
    who: str
    unit: str
    median: float
    low: float  # quartiles
    high: float
    rounds: int
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    of: str = ""  # what the ratio is to
    target: Target | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether its target holds; None where it has none, or no ratio could be had."""
        if self.target is None:
            return None
        figure = self.median if self.target.of_value else self.ratio
        return None if figure is None else self.target.holds(figure)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie, interpolated; of at least one value."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def ratios(samples: Samples, base: Samples) -> list[float]:
    """Each round's value over that of the base in the same round, for the rounds that have both."""
    return [value / base[number] for number, value in samples.items() if base.get(number)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The steepness of the straight line nearest to the points (least squares); 0 for fewer than two places."""
    count = len(points)
    middle_x = sum(x for x, _ in points) / count
    middle_y = sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def line(
    row: str,
    what: str,
    who: str,
    unit: str,
    samples: Samples,
    *,
    base: Samples | None = None,
    of: str = "",
    target: Target | None = None,
    note: str = "",
) -> Line:
    """A line from samples, with its ratio to the base where there is one: the median of the ratios of the rounds."""
    values = list(samples.values())
    found = ratios(samples, base) if base is not None else []
    low, ratio, high = (quantile(found, share) for share in (0.25, 0.5, 0.75)) if found else (None, None, None)
    return Line(
        row,
        what,
        who,
        unit,
        quantile(values, 0.5),
        quantile(values, 0.25),
        quantile(values, 0.75),
        len(values),
        ratio,
        low,
        high,
        of if found else "",
        target,
        note,
    )


def compare(
    row: str,
    what: str,
    unit: str,
    samples: Mapping[str, Samples],
    *,
    of: str,
    targets: Mapping[str, Target] | None = None,
    notes: Mapping[str, str] | None = None,
) -> list[Line]:
    """One line for each program that has samples, all as ratios to one of them."""
    return [
        line(
            row,
            what,
            who,
            unit,
            found,
            base=samples.get(of),
            of=of,
            target=(targets or {}).get(who),
            note=(notes or {}).get(who, ""),
        )
        for who, found in samples.items()
        if found
    ]
