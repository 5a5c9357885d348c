"""What the metadata of an image says about it: date, description, keywords and place.

Reading never fails: what is damaged or not there is an empty text.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from capgen.errors import ImageError
from capgen.images.load import DEFAULT_LIMITS
from capgen.images.metadata import Unwritable, exif, iptc, xmp
from capgen.images.metadata.blocks import Blocks, is_filler
from capgen.images.metadata.file_formats import module_for
from capgen.images.opening import open_image

_EXIF_HEADER = b"Exif\0\0"
_DC = "{http://purl.org/dc/elements/1.1/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
# Data sets of IPTC's record 2.
_CITY, _STATE, _COUNTRY = 90, 95, 101
_PLACES = {"City": _CITY, "State": _STATE, "Country": _COUNTRY}
_DATES = (f"{_EXIF}DateTimeOriginal", f"{_PHOTOSHOP}DateCreated", f"{_XMP}CreateDate")
_DAY = re.compile(r"\s*(\d{4})[:-](\d{2})[:-](\d{2})(?!\d)")


def read_blocks(data: bytes) -> Blocks:
    """Return the metadata of an image file of any format, as far as it can be read."""
    try:
        module = module_for(data)
        blocks: Blocks = module.blocks(module.pieces(data))
        return blocks
    except Unwritable:
        pass  # another format, or blocks in an order that only Pillow reads
    try:
        found = open_image(data, "it", DEFAULT_LIMITS).info
    except ImageError:
        return Blocks(None, None)
    block, packet = found.get("exif"), found.get("xmp")
    return Blocks(
        block.removeprefix(_EXIF_HEADER) if isinstance(block, bytes) else None,
        packet if isinstance(packet, bytes) else None,
    )


def date(blocks: Blocks) -> str:
    """Return the day on which an image was taken, in ISO 8601, or an empty string."""
    texts = _values(lambda: [exif.read_date(blocks.exif)])
    texts += [text for tag in _DATES for text in _values(xmp.read_values, blocks.xmp, tag)]
    for text in texts:
        found = _DAY.match(text)
        if found is not None:
            try:
                return datetime.date(*map(int, found.groups())).isoformat()
            except ValueError:  # 0000:00:00 of a camera whose clock was never set
                continue
    return ""


def description(blocks: Blocks) -> str:
    """Return the first description that a person may have written, or an empty string."""
    readers: tuple[Callable[[], Iterable[str | None]], ...] = (
        lambda: xmp.read_texts(blocks.xmp).values(),
        lambda: [iptc.read_caption(blocks.iptc)],
        lambda: [exif.read_description(blocks.exif)],
    )
    texts = (text for read in readers for text in _values(read))
    return next((text for text in texts if not is_filler(text)), "")


def keywords(blocks: Blocks) -> tuple[str, ...]:
    """Return the keywords in XMP and IPTC, each once."""
    found = [
        *_values(xmp.read_values, blocks.xmp, f"{_DC}subject"),
        *_values(iptc.read_values, blocks.iptc, iptc.KEYWORDS),
        *blocks.other_keywords,
    ]
    return tuple(dict.fromkeys(text.strip() for text in found if text.strip()))


def place(blocks: Blocks) -> tuple[str, ...]:
    """Return city, state and country in XMP or IPTC, as far as they are known."""
    return tuple(text for text in _place(blocks) if text)


def _place(blocks: Blocks) -> Iterator[str]:
    for name, number in _PLACES.items():
        found = [
            *_values(xmp.read_values, blocks.xmp, _PHOTOSHOP + name),
            *_values(iptc.read_values, blocks.iptc, number),
        ]
        yield next((text.strip() for text in found if text.strip()), "")


def _values(read: Callable[..., Iterable[str | None]], *arguments: Any) -> list[str]:
    """Return what a reader finds, without what is missing; nothing if the data is damaged."""
    try:
        return [text for text in read(*arguments) if text]
    except Unwritable:
        return []
