"""Curves over the steps of a run."""

from __future__ import annotations

from collections.abc import Iterator

from capgen.pages.axes import Scale, scales, short
from capgen.pages.chart import Area, Chart, Curve, Label
from capgen.pages.panel import Line, Panel

# How many curves `page.css` tells apart.
STYLES = 6
_AREA = Area(width=400, height=230, left=52, right=10, top=10, bottom=26)


def line_chart(panel: Panel) -> Chart:
    """Return the chart of a panel; its curves differ in colour and in dashes."""
    across, up = scales(panel)
    summary = "; ".join(_in_words(line) for line in panel.lines)
    if panel.marks_in_words:
        summary += f"; {panel.marks_in_words}"
    elif panel.marks:
        step, value = panel.marks[-1]
        summary += f"; {panel.saved} is from step {short(step)} ({short(value)})"

    def places(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        return tuple((_AREA.x(across.share(x)), _AREA.y(up.share(y))) for x, y in points)

    curves = []
    for number, line in enumerate(panel.lines):
        at = places(line.points)
        if len(at) == 1:  # a line of one point would be invisible
            at += ((at[0][0] + 3, at[0][1]),)
        style = number if line.style is None else line.style
        curves.append(Curve(f"curve curve{style % STYLES}", at, line.name))
    return Chart(
        title=panel.title,
        label=f"{panel.title} over steps",
        summary=summary,
        area=_AREA,
        labels=tuple(_labels(across, up)),
        grid=tuple(_AREA.y(up.share(value)) for value in up.ticks),
        curves=tuple(curves),
        marks=places(panel.marks),
        marked=f"{panel.saved} saved",
    )


def _in_words(line: Line) -> str:
    values = [value for _, value in line.points]
    words = f"{line.name} {short(values[0])}"
    if len(values) == 1:
        return words
    low, high = short(min(values)), short(max(values))
    return f"{words} to {short(values[-1])}, lowest {low}, highest {high}"


def _labels(across: Scale, up: Scale) -> Iterator[Label]:
    for value, text in zip(up.ticks, up.labels, strict=True):
        yield Label(_AREA.left - 5, _AREA.y(up.share(value)) + 4, "end", text)
    for value, text in zip(across.ticks, across.labels, strict=True):
        x = _AREA.x(across.share(value))
        anchor = "end" if x > _AREA.x(1) - 15 else "middle"
        yield Label(x, _AREA.height - 9, anchor, text)
