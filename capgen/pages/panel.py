"""The data of a line chart: its curves and the points marked on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

Points = tuple[tuple[float, float], ...]
# Charts are about 300 pixels wide: more points only make the page larger.
_MAX_POINTS = 300


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve.

    Attributes:
        name: What it shows.
        points: Its (step, value) points by step.
        style: Number of its colour and dashes; by default its place in the chart.
    """

    name: str
    points: Points
    style: int | None = None

    @classmethod
    def of(cls, name: str, points: Sequence[tuple[float, float]], style: int | None = None) -> Self:
        """Return the curve through some points; if there are too many, averages of neighbours."""
        size = max(1, -(-len(points) // _MAX_POINTS))
        groups = [points[first : first + size] for first in range(0, len(points), size)]
        return cls(
            name=name,
            points=tuple(
                (group[-1][0], sum(value for _, value in group) / len(group)) for group in groups
            ),
            style=style,
        )


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart.

    Attributes:
        title: What it shows.
        lines: Its curves.
        saved: What was saved at the `marks`.
        marks: The (step, value) points at which it was.
        marks_in_words: For people who cannot see them; by default, where the last one is.
    """

    title: str
    lines: tuple[Line, ...]
    saved: str = ""
    marks: Points = ()
    marks_in_words: str = ""
