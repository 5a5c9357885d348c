"""What a chart shows: its curves and the points marked on them."""

from __future__ import annotations

from dataclasses import dataclass

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve.

    Attributes:
        name: What it shows.
        points: (step, value), by step.
    """

    name: str
    points: Points


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart.

    Attributes:
        title: What it shows.
        lines: Its curves.
        saved: Name of the saved model that is marked.
        marks: (step, value) where that model was saved.
    """

    title: str
    lines: tuple[Line, ...]
    saved: str = ""
    marks: Points = ()
