"""The elements of a chart and their places in pixels; `templates/parts.html` draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Places = tuple[tuple[float, float], ...]


class Area(NamedTuple):
    """A chart's size, and the margins around its axes, in pixels."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def x(self, share: float) -> float:
        """Return the x of a position from 0 (left) to 1 (right)."""
        return self.left + (self.width - self.left - self.right) * share

    def y(self, share: float) -> float:
        """Return the y of a position from 0 (bottom) to 1 (top)."""
        return self.height - self.bottom - (self.height - self.bottom - self.top) * share


class Label(NamedTuple):
    """A number beside an axis; `anchor` is `start`, `middle` or `end`."""

    x: float
    y: float
    anchor: str
    text: str


class Curve(NamedTuple):
    """A line through some places; if it has a name, it is in the legend."""

    style: str
    places: Places
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart; `label` and `summary` describe it to people who cannot see it."""

    title: str
    label: str
    summary: str
    area: Area
    labels: tuple[Label, ...]
    grid: tuple[float, ...] = ()  # heights of the lines across
    bars: tuple[tuple[float, float, float, float], ...] = ()  # x, y, width, height
    curves: tuple[Curve, ...] = ()
    marks: Places = ()
    marked: str = ""  # what the marks are
