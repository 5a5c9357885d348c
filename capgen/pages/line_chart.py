"""Charts as inline SVG, in the page's colours."""

from __future__ import annotations

from capgen.pages.axes import Scale, scales, short
from capgen.pages.page import text
from capgen.pages.panel import Panel

_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 10, 26

# Curves differ in colour and in dashes.
STYLE = """
svg .grid-line { stroke: var(--line); stroke-width: 1; }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke: var(--accent); }
svg .curve1 { stroke: var(--bad); stroke-dasharray: 7 3; }
svg .curve2 { stroke: var(--good); stroke-dasharray: 2 3; }
svg .saved { fill: var(--paper); stroke: var(--ink); stroke-width: 2; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; list-style: none; padding: 0;
  margin: .2rem 0; font-size: .85rem; }
.legend svg { display: inline-block; width: 1.8rem; height: .7rem; vertical-align: middle; }
.history { padding: 0 !important; list-style: none; margin: .4rem 0; }
.history li { margin: .3rem 0; } .history .soft { font-size: .85rem; display: block; }
section .wide + .wide { margin-top: 1.25rem; }
figure.chart h3 { margin: 0 0 .4rem; font-size: 1rem; }
"""


def chart(panel: Panel) -> str:
    """Return a figure of a panel; its label and caption say it in words, too."""
    across, up = scales(panel)
    summary = "; ".join(_in_words(line.name, [y for _, y in line.points]) for line in panel.lines)
    if panel.marks:
        step, value = panel.marks[-1]
        summary += f"; {panel.saved} is from step {short(step)} ({short(value)})"
    shapes = [*_grid(across, up)]
    for number, line in enumerate(panel.lines):
        points = [(_x(across, x), _y(up, y)) for x, y in line.points]
        kind = f"curve curve{number % 3}"
        if len(points) == 1:  # a line of one point would not be seen
            points.append((points[0][0] + 3, points[0][1]))
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        shapes.append(f'<polyline class="{kind}" points="{places}"/>')
    shapes += [
        f'<circle class="saved" cx="{_x(across, x):.1f}" cy="{_y(up, y):.1f}" r="4"/>'
        for x, y in panel.marks
    ]
    label = text(f"{panel.title} over steps: {summary}")
    return (
        f'<figure class="chart"><h3>{text(panel.title)}</h3>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(shapes)}</svg>{_legend(panel)}<figcaption>{text(summary)}</figcaption></figure>"
    )


def _in_words(name: str, values: list[float]) -> str:
    told = f"{name} {short(values[0])}"
    if len(values) == 1:
        return told
    low, high = short(min(values)), short(max(values))
    return f"{told} to {short(values[-1])}, lowest {low}, highest {high}"


def _x(scale: Scale, value: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * scale.share(value)


def _y(scale: Scale, value: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * scale.share(value)


def _grid(across: Scale, up: Scale) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    marks = []
    for value in up.ticks:
        y = _y(up, value)
        marks += [
            f'<line class="grid-line" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>',
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>',
        ]
    marks.append(f'<line class="axis" x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
    for value in across.ticks:
        anchor = "end" if _x(across, value) > right - 15 else "middle"
        marks.append(
            f'<text x="{_x(across, value):.1f}" y="{_HEIGHT - 9}" text-anchor="{anchor}">'
            f"{short(value)}</text>"
        )
    return marks


def _legend(panel: Panel) -> str:
    items = [
        f'<li><svg viewBox="0 0 30 8" aria-hidden="true"><polyline class="curve curve{number % 3}" '
        f'points="0,4 30,4"/></svg> {text(line.name)}</li>'
        for number, line in enumerate(panel.lines)
    ]
    if panel.marks:
        items.append(
            '<li><svg viewBox="0 0 30 10" aria-hidden="true"><circle class="saved" cx="15" cy="5" '
            f'r="4"/></svg> {text(panel.saved)} saved</li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'
