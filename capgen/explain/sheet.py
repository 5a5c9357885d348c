"""Where a captioner looked, word by word, as one image."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from capgen.captioning.attention import Floats
from capgen.explain.heat_maps import core, heat_image, outline
from capgen.images.thumbnails import shrunk
from capgen.output.drawings import write_drawing
from capgen.records import Caption, Word

_TILE = 300
_GAP = 12
_LABEL = 54
_COLUMNS = 4
_INK, _PAPER, _SOFT = (27, 31, 36), (255, 255, 255), (87, 96, 106)


def write_sheet(path: Path, caption: Caption, image: Image.Image) -> None:
    """Write a PNG or JPEG with one copy of the image per word, coloured where the model looked.

    A line surrounds the fewest cells that hold half of a word's attention, so that the sheet
    can be read without colour.

    Args:
        path: The file to write; its suffix sets the format.
        caption: The caption, with its `attention`.
        image: The RGB image that the attention maps cover.

    Raises:
        ProtectedFileError: The path is a file that capgen did not draw.
        StorageError: The file cannot be written.
    """
    write_drawing(path, draw_sheet(caption, image), jpeg=path.suffix.lower() != ".png")


def draw_sheet(caption: Caption, image: Image.Image) -> Image.Image:
    """Return the sheet that `write_sheet` writes."""
    assert caption.attention is not None
    tile = shrunk(image, _TILE)
    count = max(len(caption.words), 1)
    columns = min(_COLUMNS, count)
    rows = math.ceil(count / columns)
    width = _GAP + columns * (_TILE + _GAP)
    height = _LABEL + rows * (tile.height + _LABEL + _GAP)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_GAP, 14), caption.text or "(no words)", 22, width - 2 * _GAP)
    for number, (word, heat) in enumerate(zip(caption.words, caption.attention, strict=True)):
        left = _GAP + number % columns * (_TILE + _GAP)
        top = _LABEL + number // columns * (tile.height + _LABEL + _GAP)
        sheet.paste(_shaded(tile, heat), (left, top))
        _label(draw, word, heat, (left, top + tile.height + 4))
    return sheet


def _shaded(tile: Image.Image, heat: Floats) -> Image.Image:
    """Return a copy of the image with its heat and outline."""
    veil = heat_image(heat).resize(tile.size, Image.Resampling.BICUBIC)
    shown = Image.alpha_composite(tile.convert("RGBA"), veil).convert("RGB")
    draw = ImageDraw.Draw(shown)
    rows, columns = heat.shape
    across, down = tile.width / columns, tile.height / rows
    lines = [
        (x0 * across, y0 * down, x1 * across, y1 * down) for x0, y0, x1, y1 in outline(core(heat))
    ]
    for colour, width in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        for line in lines:
            draw.line(line, fill=colour, width=width)
    return shown


def _label(draw: ImageDraw.ImageDraw, word: Word, heat: Floats, place: tuple[int, int]) -> None:
    _write(draw, place, f"{word.text}  {100 * word.probability:.0f} %", 18, _TILE)
    inside = core(heat)
    share = f"half of it in {int(inside.sum())} of {inside.size} cells"
    _write(draw, (place[0], place[1] + 22), share, 13, _TILE, _SOFT)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: int,
    width: int,
    colour: tuple[int, int, int] = _INK,
) -> None:
    """Write one line, smaller if it is too long."""
    text = " ".join(text.split())  # a model can generate line breaks
    font = ImageFont.load_default(size)
    if draw.textlength(text, font) > width:
        font = ImageFont.load_default(max(8, int(size * width / draw.textlength(text, font))))
    draw.text(place, text, fill=colour, font=font)
