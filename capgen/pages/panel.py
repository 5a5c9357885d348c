"""The data of a line chart: its curves and the points marked on them."""

from __future__ import annotations

from dataclasses import dataclass

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve: its name, and its (step, value) points by step."""

    name: str
    points: Points


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart; `marks` are the (step, value) points at which the model `saved` was saved."""

    title: str
    lines: tuple[Line, ...]
    saved: str = ""
    marks: Points = ()
