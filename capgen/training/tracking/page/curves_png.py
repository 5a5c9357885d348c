"""The curves as one image, to put into a report or a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

from capgen.pages.axes import Scale, scales, short
from capgen.pages.panel import Panel, Points

_WIDTH, _HEIGHT = 560, 340  # of a panel, in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 24, 66, 40
_COLUMNS = 2
_INK, _SOFT, _PAPER, _LINE = (27, 31, 36), (87, 96, 106), (255, 255, 255), (221, 226, 231)
_COLOURS = ((11, 87, 164), (164, 14, 38), (17, 99, 41))
_DASHES = ((0.0, 0.0), (9.0, 5.0), (2.0, 4.0))


def draw(title: str, panels: Sequence[Panel]) -> Image.Image:
    """Return an image of all panels, two beside each other, under a title."""
    rows = -(-len(panels) // _COLUMNS)
    head = 50
    image = Image.new("RGB", (_COLUMNS * _WIDTH, head + max(rows, 1) * _HEIGHT), _PAPER)
    canvas = ImageDraw.Draw(image)
    plain = title.encode("ascii", "replace").decode("ascii")  # what the built-in font has
    canvas.text((20, 14), plain, fill=_INK, font=ImageFont.load_default(22))
    for number, panel in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        _PanelDrawing(canvas, column * _WIDTH, head + row * _HEIGHT).draw(panel)
    return image


class _PanelDrawing:
    """Draws one panel with its upper left corner at (left, top)."""

    def __init__(self, canvas: ImageDraw.ImageDraw, left: int, top: int) -> None:
        self._canvas = canvas
        self._left, self._right = left + _LEFT, left + _WIDTH - _RIGHT
        self._top, self._bottom = top + _TOP, top + _HEIGHT - _BOTTOM
        self._font = ImageFont.load_default(14)

    def draw(self, panel: Panel) -> None:
        across, up = scales(panel)
        self._canvas.text(
            (self._left, self._top - 58), panel.title, fill=_INK, font=ImageFont.load_default(17)
        )
        self._legend(panel)
        for value in up.ticks:
            y = self._y(up, value)
            self._canvas.line((self._left, y, self._right, y), fill=_LINE)
            self._text((self._left - 8, y), short(value), "rm")
        for value in across.ticks:
            self._text((self._x(across, value), self._bottom + 14), short(value), "mm")
        self._canvas.line((self._left, self._bottom, self._right, self._bottom), fill=_SOFT)
        for number, line in enumerate(panel.lines):
            places = tuple((self._x(across, x), self._y(up, y)) for x, y in line.points)
            self._curve(places, number)
        for x, y in panel.marks:
            self._mark(self._x(across, x), self._y(up, y))

    def _legend(self, panel: Panel) -> None:
        x, y = float(self._left), self._top - 22.0
        for number, line in enumerate(panel.lines):
            self._curve(((x, y), (x + 28, y)), number)
            x = self._name(x + 34, y, line.name)
        if panel.marks:
            self._mark(x + 8, y)
            self._name(x + 20, y, f"{panel.saved} saved")

    def _name(self, x: float, y: float, name: str) -> float:
        self._text((x, y), name, "lm")
        return x + self._font.getlength(name) + 18

    def _text(self, place: tuple[float, float], words: str, anchor: str) -> None:
        self._canvas.text(place, words, fill=_SOFT, font=self._font, anchor=anchor)

    def _curve(self, places: Points, number: int) -> None:
        colour, dash = _COLOURS[number % 3], _DASHES[number % 3]
        if len(places) == 1:
            (x, y) = places[0]
            self._canvas.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        elif not dash[0]:
            self._canvas.line(list(places), fill=colour, width=2, joint="curve")
        else:
            for piece in _dashed(places, *dash):
                self._canvas.line(piece, fill=colour, width=2)

    def _mark(self, x: float, y: float) -> None:
        self._canvas.ellipse((x - 5, y - 5, x + 5, y + 5), fill=_PAPER, outline=_INK, width=2)

    def _x(self, scale: Scale, value: float) -> float:
        return self._left + (self._right - self._left) * scale.share(value)

    def _y(self, scale: Scale, value: float) -> float:
        return self._bottom - (self._bottom - self._top) * scale.share(value)


def _dashed(places: Points, on: float, off: float) -> Iterator[tuple[float, float, float, float]]:
    """Yield the pieces of a dashed line through some places."""
    walked = 0.0
    for (x0, y0), (x1, y1) in pairwise(places):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        done = 0.0
        while done < length:
            place = walked % (on + off)
            drawn = place < on
            piece = min((on if drawn else on + off) - place + 1e-6, length - done)
            if drawn:
                begin, end = done / length, (done + piece) / length
                yield (
                    *(x0 + (x1 - x0) * begin, y0 + (y1 - y0) * begin),
                    *(x0 + (x1 - x0) * end, y0 + (y1 - y0) * end),
                )
            done += piece
            walked += piece
