"""Where a captioner looked, word by word, as a web page.

Attention is shown by shading, by a line around the cells that hold half of it, and by numbers, so
that the page can be read without colour. Like the report, it has no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from capgen.captioning.attention import Floats
from capgen.explain.heat_maps import core, heat_image, outline, place_of_most
from capgen.pages.images import InlineImage, data_uri
from capgen.pages.page import Table, write_page
from capgen.records import Caption, Word

_SIDE = 640


def write_explanation(path: Path, caption: Caption, image: Image.Image) -> None:
    """Write a self-contained HTML page that shows where the model looked for each word.

    Args:
        path: The file to write.
        caption: The caption, with its `attention`.
        image: The RGB image that the attention maps cover.

    Raises:
        ProtectedFileError: The path is a file that is not a web page.
        StorageError: The file cannot be written.
    """
    assert caption.attention is not None
    looks = zip(caption.words, caption.attention, strict=True)
    write_page(
        path,
        "explanation.html",
        title=f"Where the model looked: {caption.text}",
        caption=caption.text,
        photo=InlineImage.of(image, side=_SIDE),
        words=[_word(word, heat) for word, heat in looks],
        facts=_facts(caption),
    )


def _word(word: Word, heat: Floats) -> dict[str, Any]:
    """Return a word and where the model looked for it, for the template."""
    inside = core(heat)
    return {
        "text": word.text,
        "probability": _percent(word.probability),
        "where": (
            f"Most at the {place_of_most(heat)}; half of the attention is in {int(inside.sum())} "
            f"of {heat.size} cells ({_percent(inside.mean())} of the image)."
        ),
        "heat": data_uri(heat_image(heat), "PNG"),
        "shape": heat.shape,
        "outline": "".join(f"M{x0} {y0}L{x1} {y1}" for x0, y0, x1, y1 in outline(inside)),
        "shares": list(_shares(heat)),
        "cells": _cells(word, heat),
    }


def _shares(heat: Floats) -> Iterator[tuple[str, str, str]]:
    rows, columns = heat.shape
    for place in map(int, np.argsort(-heat, axis=None, kind="stable")[:3]):
        left, top = (place % columns + 0.5) / columns, (place // columns + 0.5) / rows
        yield f"{100 * left:.1f}%", f"{100 * top:.1f}%", f"{100 * heat.flat[place]:.0f}"


def _cells(word: Word, heat: Floats) -> Table:
    return Table(
        caption=f"Attention of '{word.text}' in per cent, by row and column of the image",
        heads=("", *map(str, range(1, heat.shape[1] + 1))),
        rows=[
            (f"row {number}", *(f"{100 * value:.1f}" for value in row))
            for number, row in enumerate(heat, 1)
        ],
        numbers=1,
    )


def _facts(caption: Caption) -> Table:
    rows = [
        ("image", caption.path or "(in memory)"),
        ("model", f"{caption.model} {caption.revision}".strip()),
        *((key.replace("_", " "), str(value)) for key, value in caption.settings.items()),
    ]
    return Table(caption="How the caption was made", rows=rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
