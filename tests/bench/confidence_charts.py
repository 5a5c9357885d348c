"""The figures of docs/confidence.md as SVG files that need nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capgen.evaluation.calibration.reliability import Bin

Reals = NDArray[np.float64]

SIDE, LEFT, TOP = 300, 52, 34
STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:14px;font-weight:bold}"
    ".g{stroke:#d8d8d8}.a{stroke:#222}.d{stroke:#777;stroke-dasharray:5 4}"
    ".l{fill:none;stroke:#0b5ea8;stroke-width:2.5}.b{fill:#0b5ea8}.o{fill:#d9730d}"
)


def _figure(title: str, across: str, up: str, inside: str, ticks: list[str]) -> str:
    grid = []
    for number, tick in enumerate(ticks):
        share = number / (len(ticks) - 1)
        grid.append(
            f'<line class="g" x1="{LEFT}" y1="{_y(share):.1f}" x2="{LEFT + SIDE}" '
            f'y2="{_y(share):.1f}"/>'
            f'<text x="{LEFT - 6}" y="{_y(share) + 4:.1f}" text-anchor="end">{tick}</text>'
        )
    for number in range(6):
        grid.append(
            f'<text x="{_x(number / 5):.1f}" y="{TOP + SIDE + 18}" text-anchor="middle">'
            f"{number / 5:g}</text>"
        )
    width, height = LEFT + SIDE + 20, TOP + SIDE + 42
    middle = TOP + SIDE / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{title}">'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text class="t" x="{LEFT}" y="20">{title}</text>{"".join(grid)}'
        f'<path class="a" fill="none" d="M{LEFT} {TOP}V{TOP + SIDE}H{LEFT + SIDE}"/>{inside}'
        f'<text x="{LEFT + SIDE / 2}" y="{height - 6}" text-anchor="middle">{across}</text>'
        f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{up}</text>'
        "</svg>\n"
    )


def reliability_diagram(points: list[Bin], error: float) -> str:
    """Share of good captions by confidence; numbers are captions in the bin."""
    shapes = [f'<line class="d" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>']
    filled = [point for point in points if point.count]
    path = " ".join(f"{_x(p.confidence):.1f},{_y(p.good):.1f}" for p in filled)
    shapes.append(f'<polyline class="l" points="{path}"/>')
    for p in filled:
        # One standard error of a share, so that chance can be seen for what it is.
        error_bar = (p.good * (1 - p.good) / p.count) ** 0.5
        x, low, high = _x(p.confidence), _y(max(0, p.good - error_bar)), p.good + error_bar
        shapes.append(
            f'<line class="a" x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" '
            f'y2="{_y(min(1.0, high)):.1f}"/>'
            f'<circle class="b" cx="{x:.1f}" cy="{_y(p.good):.1f}" r="4"/>'
            f'<text x="{x + 7:.1f}" y="{_y(p.good) + 15:.1f}">{p.count}</text>'
        )
    title = f"Reliability on the test images (ECE {error:.3f})"
    ticks = ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    return _figure(title, "confidence", "share of good captions", "".join(shapes), ticks)


def coverage_curve(means: Reals, name: str) -> str:
    """Mean score of the most confident share of captions."""
    top = float(np.ceil(means[len(means) // 20 :].max() * 2) / 2)
    every = np.linspace(len(means) // 20, len(means), 80).astype(int)
    path = " ".join(f"{_x(n / len(means)):.1f},{_y(means[n - 1] / top):.1f}" for n in every)
    level, half = means[-1] / top, means[(len(means) + 1) // 2 - 1]
    shapes = (
        f'<line class="d" x1="{_x(0)}" y1="{_y(level):.1f}" x2="{_x(1)}" y2="{_y(level):.1f}"/>'
        f'<polyline class="l" points="{path}"/>'
        f'<circle class="b" cx="{_x(0.5)}" cy="{_y(half / top):.1f}" r="4"/>'
        f'<text x="{_x(0.5) + 8}" y="{_y(half / top) - 8:.1f}">half: {half:.3f}</text>'
        f'<text x="{_x(0.02)}" y="{_y(level) + 16:.1f}">all: {means[-1]:.3f}</text>'
    )
    ticks = [f"{top * n / 5:.2g}" for n in range(6)]
    title = f"{name} of the most confident captions"
    return _figure(title, "share of images captioned", f"mean {name}", shapes, ticks)


def two_kinds(images: Reals, others: Reals, area: float) -> str:
    """Distributions of confidence for photographs and for other images."""
    edges = np.linspace(0, 1, 21)
    first = np.histogram(images, edges)[0] / len(images)
    second = np.histogram(others, edges)[0] / len(others)
    most = np.ceil(max(first.max(), second.max()) * 4) / 4
    shapes = []
    for place, (one, two) in enumerate(zip(first, second, strict=True)):
        for share, kind, shift in ((one, "b", 0.0), (two, "o", 0.5)):
            width = SIDE / 20 / 2 - 0.5
            x = _x((place + shift) / 20)
            shapes.append(
                f'<rect class="{kind}" x="{x:.1f}" y="{_y(share / most):.1f}" '
                f'width="{width:.1f}" height="{_y(0) - _y(share / most):.1f}"/>'
            )
    for row, (kind, label) in enumerate(
        (("b", "photographs (left bars)"), ("o", "other pictures"))
    ):
        shapes.append(
            f'<rect class="{kind}" x="{_x(0.42)}" y="{TOP + 6 + 18 * row}" width="11" height="11"/>'
            f'<text x="{_x(0.42) + 17}" y="{TOP + 16 + 18 * row}">{label}</text>'
        )
    ticks = [f"{most * n / 5:.0%}" for n in range(6)]
    title = f"Photographs and other images (AUROC {area:.3f})"
    return _figure(title, "confidence", "share of images", "".join(shapes), ticks)


def _x(share: float) -> float:
    return LEFT + SIDE * share


def _y(share: float) -> float:
    return TOP + SIDE * (1 - share)
