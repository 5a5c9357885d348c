"""Intervals of several things, one below the other: a line with a tick at the value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from capgen.pages.axes import Scale, short
from capgen.pages.chart import Area, Chart, Curve, Label

_ROW = 34
_TICK = 4


class Bounds(NamedTuple):
    """A value and the ends of its interval."""

    value: float
    low: float
    high: float


def interval_chart(
    title: str, names: Sequence[str], rows: Sequence[tuple[str, Sequence[Bounds]]]
) -> Chart:
    """Return the chart of some values of several systems.

    Args:
        title: What the values are.
        names: The systems.
        rows: What each row is, and the values of the systems.
    """
    area = Area(width=400, height=_ROW * len(rows) + 30, left=90, right=14, top=6, bottom=24)
    ends = [end for _, values in rows for bounds in values for end in bounds]
    scale = Scale.of(min(0.0, *ends), max(ends))
    curves = []
    for row, (_, values) in enumerate(rows):
        for number, bounds in enumerate(values):
            y = area.top + _ROW * (row + (number + 1) / (len(values) + 1))
            low, value, high = (
                area.x(scale.share(each)) for each in (bounds.low, bounds.value, bounds.high)
            )
            tick = ((value, y), (value, y - _TICK), (value, y + _TICK), (value, y))
            name = names[number] if not row else ""
            curves.append(Curve(f"curve curve{number % 3}", ((low, y), *tick, (high, y)), name))
    labels = [
        Label(area.left - 6, area.top + _ROW * (row + 0.5) + 4, "end", name)
        for row, (name, _) in enumerate(rows)
    ]
    labels += [
        Label(area.x(scale.share(tick)), area.height - 8, "middle", short(tick))
        for tick in scale.ticks
    ]
    return Chart(
        title=title,
        label=title,
        summary="; ".join(_in_words(name, names, values) for name, values in rows),
        area=area,
        labels=tuple(labels),
        curves=tuple(curves),
    )


def _in_words(name: str, names: Sequence[str], values: Sequence[Bounds]) -> str:
    each = (f"{system} {bounds.value:.2f}" for system, bounds in zip(names, values, strict=True))
    return f"{name}: {', '.join(each)}"
