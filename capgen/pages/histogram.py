"""Charts of distributions: bars, and a line for a second distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from capgen.pages.chart import Area, Chart, Curve, Label

Floats = npt.NDArray[np.float64]

_AREA = Area(width=360, height=170, left=34, right=6, top=8, bottom=26)
_BINS = 24


def histogram(
    title: str, values: Floats, second: Floats | None = None, *, names: Sequence[str] = ()
) -> Chart:
    """Return the chart of a distribution.

    Args:
        title: What the numbers are.
        values: (n,) numbers, drawn as bars.
        second: (m,) other numbers, drawn as a line over the bars.
        names: What bars and line are, if there are both.
    """
    values = values[~np.isnan(values)]  # SPICE has no score for images with nothing to compare
    second = None if second is None else second[~np.isnan(second)]
    every = values if second is None else np.concatenate([values, second])
    edges = _edges(every)
    counts = np.histogram(values, edges)[0]
    others = None if second is None else np.histogram(second, edges)[0]
    most = max(1, int(counts.max()), 0 if others is None else int(others.max()))
    words = [_in_words(values, names[0] if names else "")]
    if second is not None:
        words.append(_in_words(second, names[1] if len(names) > 1 else "second"))
    return Chart(
        title=title,
        label=f"Distribution of {title}",
        summary="; ".join(words),
        area=_AREA,
        labels=_labels(edges, most),
        bars=_bars(counts / most),
        curves=() if others is None else (_steps(others / most),),
    )


def _edges(values: Floats) -> Floats:
    """Return the (bins + 1,) edges of the bins; whole numbers are in the middle of theirs."""
    low, high = float(values.min()), float(values.max())
    if (values == np.round(values)).all():
        step = max(1, math.ceil((high - low + 1) / _BINS))
        return np.arange(low - 0.5, high + step, step)
    return np.linspace(low, high, _BINS + 1)


def _in_words(values: Floats, name: str) -> str:
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    words = f"median {_short(median)}, middle half {_short(lower)} to {_short(upper)}"
    return f"{name} {words}" if name else words


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _bars(shares: Floats) -> tuple[tuple[float, float, float, float], ...]:
    width = _AREA.x(1 / len(shares)) - _AREA.x(0) - 1
    return tuple(
        (_AREA.x(place / len(shares)), _AREA.y(share), width, _AREA.y(0) - _AREA.y(share))
        for place, share in enumerate(shares)
        if share
    )


def _steps(shares: Floats) -> Curve:
    places = tuple(
        (_AREA.x((place + side) / len(shares)), _AREA.y(share))
        for place, share in enumerate(shares)
        for side in (0, 1)
    )
    return Curve("second", places)


def _labels(edges: Floats, most: int) -> tuple[Label, ...]:
    across = (
        Label(_AREA.x(share), _AREA.height - 8, anchor, _short(value))
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
        for value in (edges[0] + share * (edges[-1] - edges[0]),)
    )
    up = ((_AREA.y(1) + 8, str(most)), (_AREA.y(0), "0"))
    return (*(Label(_AREA.left - 5, y, "end", number) for y, number in up), *across)
