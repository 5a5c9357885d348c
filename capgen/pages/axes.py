"""The scales of a chart, and their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from capgen.pages.panel import Panel

# Smaller numbers are shown as 0, which BLEU never quite is.
_ZERO = 1e-8


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One axis of a chart: the numbers at its ends, and round numbers in between."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, low: float, high: float, *, most: int = 5) -> Self:
        """Return a scale that holds `low` and `high`, with about `most` ticks at most."""
        if max(abs(low), abs(high)) < _ZERO:
            low, high = 0.0, 1.0
        elif high - low < 1e-12 * max(1.0, abs(high)):  # puts a flat line in the middle
            margin = abs(high) / 10 or 1.0
            low, high = low - margin, high + margin
        step = _round_step((high - low) / most)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return cls(low=low, high=high, ticks=tuple(n * step for n in range(first, last + 1)))

    @property
    def labels(self) -> list[str]:
        """The ticks' labels: `short`, or with more digits where the ticks are close together."""
        texts = [short(tick) for tick in self.ticks]
        if len(texts) < 2:
            return texts
        step = self.ticks[1] - self.ticks[0]
        if all(
            abs(float(text.replace(",", "")) - tick) < step / 10
            for text, tick in zip(texts, self.ticks, strict=True)
        ):
            return texts
        decimals = 1 - math.floor(math.log10(step))
        return [f"{tick:.{max(0, decimals)}f}" for tick in self.ticks]

    def share(self, value: float) -> float:
        """Return the position of a number, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def scales(panel: Panel) -> tuple[Scale, Scale]:
    """Return the horizontal and the vertical scale of a panel."""
    points = [point for line in panel.lines for point in line.points]
    across, up = [step for step, _ in points], [value for _, value in points]
    margin = (max(up) - min(up)) * 0.05
    low = min(up) - margin
    if min(up) >= 0:
        low = max(low, 0.0)
    return Scale.of(min(0.0, *across), max(across)), Scale.of(low, max(up) + margin)


def short(value: float) -> str:
    """Return a number as a label with about four digits."""
    if abs(value) < _ZERO:
        return "0"
    if abs(value) < 1e-3 or abs(value) >= 1e6:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    decimals = max(0, 4 - len(str(int(abs(value))))) + (abs(value) < 1)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def _round_step(about: float) -> float:
    """Return 1, 2, 2.5 or 5 times a power of ten, not below `about`."""
    power: float = 10.0 ** math.floor(math.log10(about))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= about * 0.999)
