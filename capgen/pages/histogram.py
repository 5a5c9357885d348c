"""Distributions as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from capgen.pages.page import text

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 360, 170, 34, 26, 8
_BINS = 24


def histogram(
    title: str, values: Floats, second: Floats | None = None, *, names: Sequence[str] = ()
) -> str:
    """Return a figure with the distribution of some numbers, whose caption says it in words.

    Args:
        title: What the numbers are.
        values: (n,) numbers, drawn as bars.
        second: (m,) other numbers, drawn as a line over the bars.
        names: What bars and line are, where there are both.
    """
    values = values[~np.isnan(values)]  # SPICE scores no image without anything to compare
    second = None if second is None else second[~np.isnan(second)]
    every = values if second is None else np.concatenate([values, second])
    edges = _edges(every)
    counts = np.histogram(values, edges)[0]
    others = None if second is None else np.histogram(second, edges)[0]
    most = max(1, int(counts.max()), 0 if others is None else int(others.max()))
    words = [_in_words(values, names[0] if names else "")]
    if second is not None:
        words.append(_in_words(second, names[1] if len(names) > 1 else "second"))
    summary = "; ".join(words)
    shapes = _bars(counts, most) + ("" if others is None else _line(others, most))
    return (
        f'<figure class="chart"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{text(f"Distribution of {title}: {summary}")}">'
        f"{shapes}{_axes(edges, most)}</svg>"
        f"<figcaption><b>{text(title)}</b>: {text(summary)}</figcaption></figure>"
    )


def _edges(values: Floats) -> Floats:
    """Return the (bins + 1,) edges of the bins; whole numbers lie in the middle of theirs."""
    low, high = float(values.min()), float(values.max())
    if (values == np.round(values)).all():
        step = max(1, math.ceil((high - low + 1) / _BINS))
        return np.arange(low - 0.5, high + step, step)
    return np.linspace(low, high, _BINS + 1)


def _in_words(values: Floats, name: str) -> str:
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    told = f"median {_short(median)}, middle half {_short(lower)} to {_short(upper)}"
    return f"{name} {told}" if name else told


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _x(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - 6) * share


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * share


def _bars(counts: Integers, most: int) -> str:
    width = _x(1 / len(counts)) - _x(0) - 1
    return "".join(
        f'<rect class="bar" x="{_x(place / len(counts)):.1f}" y="{_y(count / most):.1f}" '
        f'width="{width:.1f}" height="{_y(0) - _y(count / most):.1f}"/>'
        for place, count in enumerate(counts)
        if count
    )


def _line(counts: Integers, most: int) -> str:
    points = " ".join(
        f"{_x((place + side) / len(counts)):.1f},{_y(count / most):.1f}"
        for place, count in enumerate(counts)
        for side in (0, 1)
    )
    return f'<polyline class="second" points="{points}"/>'


def _axes(edges: Floats, most: int) -> str:
    base = _y(0)
    marks = [
        f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{_WIDTH - 6}" y2="{base}"/>',
        f'<text x="{_LEFT - 5}" y="{_y(1) + 8:.1f}" text-anchor="end">{most}</text>',
        f'<text x="{_LEFT - 5}" y="{base}" text-anchor="end">0</text>',
    ]
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        value = _short(edges[0] + share * (edges[-1] - edges[0]))
        marks.append(
            f'<text x="{_x(share):.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{value}</text>'
        )
    return "".join(marks)
