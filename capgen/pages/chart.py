"""What a chart shows and where, in pixels; `chart` in `templates/parts.html` draws it."""

from __future__ import annotations

from dataclasses import dataclass

Places = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Area:
    """A chart's size, and the margins around its axes, in pixels."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def x(self, share: float) -> float:
        """Return where a share, from 0 to 1, of the way from left to right lies."""
        return self.left + (self.width - self.left - self.right) * share

    def y(self, share: float) -> float:
        """Return where a share, from 0 to 1, of the way from bottom to top lies."""
        return self.height - self.bottom - (self.height - self.bottom - self.top) * share


@dataclass(frozen=True)
class Label:
    """A number beside an axis; `anchor` is `start`, `middle` or `end`."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Curve:
    """A line through some places; those that have a name are in the legend."""

    style: str
    places: Places
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart, which its label and its summary put into words, too.

    Attributes:
        title: What it shows.
        label: What it is, for those who do not see it; the summary follows.
        summary: Its numbers in words.
        area: Its size.
        labels: Numbers beside the axes.
        grid: Heights of the lines across.
        bars: (x, y, width, height) of each bar.
        curves: The lines.
        marks: Places that are marked.
        marked: What the marks are.
    """

    title: str
    label: str
    summary: str
    area: Area
    labels: tuple[Label, ...]
    grid: tuple[float, ...] = ()
    bars: tuple[tuple[float, float, float, float], ...] = ()
    curves: tuple[Curve, ...] = ()
    marks: Places = ()
    marked: str = ""
