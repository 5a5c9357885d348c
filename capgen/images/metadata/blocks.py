"""The blocks of metadata in an image file, whatever its format, and the caption in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from capgen.config import MetadataOptions
from capgen.images.metadata import exif, iptc, xmp


@dataclass(frozen=True)
class Blocks:
    """The metadata of one file.

    Attributes:
        exif: EXIF as a TIFF block, or None if there is none.
        xmp: The XMP packet, or None if there is none.
        iptc: Photoshop resources, which contain IPTC and may be empty, or None if the format
            has no place for them.
        others: Descriptions that the file has elsewhere. They are not changed.
        other_keywords: Keywords that the file has elsewhere. They are not changed.
        extended: The part of the XMP packet that JPEG's main segment cannot hold, or None.
    """

    exif: bytes | None
    xmp: bytes | None
    iptc: bytes | None = None
    others: tuple[str, ...] = ()
    other_keywords: tuple[str, ...] = ()
    extended: bytes | None = None


# What cameras and programs write instead of a description, in lower case.
_FILLERS = re.compile(
    r"""(olympus|minolta|konica\ minolta|pentax|samsung|vivitar|kyocera)\ (digital\ )?camera\S*
    |kodak\ (easyshare\ )?.{0,12}digital(\ still)?\ camera|digital\ (still\ )?camera
    |sony\ dsc|samsung\ camera\ pictures|dcim([\\/].*)?|exif[ _]?jpe?g([ _]picture)?
    |created\ with\ (the\ )?gimp|file\ written\ by\ adobe\ photoshop.*|applemark
    |default|untitled|picture|image|jpe?g|my\ beautiful\ picture
    |(cof|nor|oznor|rhdr|hdrpl|mde|fbt|sdr|dav|ptr|edf)(_(soft|vivi|bty|hdr))?
    |(dsc[nf]?|img|imag|pict|p|mvimg|pxl|dji)[_-]?\d{3,}(\.\w{3,4})?""",
    re.VERBOSE | re.DOTALL,
)


def is_filler(text: str | None) -> bool:
    """Whether a description is empty, or one that a camera writes into all of its images."""
    return text is None or _FILLERS.fullmatch(text.strip("\0 \t\r\n").lower() or "dcim") is not None


def read_descriptions(blocks: Blocks) -> list[str | None]:
    """Return the descriptions in EXIF, XMP and (if the format can have it) IPTC."""
    in_xmp = next(iter(xmp.read_texts(blocks.xmp).values()), None)
    found = [exif.read_description(blocks.exif), in_xmp]
    return found if blocks.iptc is None else [*found, iptc.read_caption(blocks.iptc)]


def with_caption(
    blocks: Blocks, caption: str, options: MetadataOptions, own: str | None = None
) -> tuple[Blocks, bool]:
    """Return metadata with a caption.

    Args:
        blocks: The old metadata.
        caption: The caption.
        options: Which fields to write, and what to do with descriptions that a person wrote.
        own: The caption that capgen wrote there before, which is replaced.

    Returns:
        The metadata, the same object if nothing changes, and whether a description that a
        person wrote was kept instead of the caption.
    """
    after, kept, kept_too = blocks, False, False
    if options.metadata_field != "alt-text":
        after, kept = _with_description(after, caption, options, own)
    if options.metadata_field != "description":
        packet, kept_too = with_property(after.xmp, caption, options, own, xmp.ALT_TEXT)
        after = after if packet is after.xmp else replace(after, xmp=packet)
    return after, kept or kept_too


def with_property(
    packet: bytes | None,
    caption: str,
    options: MetadataOptions,
    own: str | None = None,
    what: xmp.Property = xmp.DESCRIPTION,
) -> tuple[bytes | None, bool]:
    """Return an XMP packet with a caption, and whether a person's text was kept instead."""
    texts = xmp.read_texts(packet, what)
    first = next(iter(texts.values()), None)
    if first == caption:
        return packet, False
    persons = _written_by_persons(texts.values(), caption, own)
    if persons and options.on_description == "keep":
        return packet, True
    old = first if first in persons else next(iter(persons), None)
    merged = _merged(old, caption, options, own)
    return (packet if merged == first else xmp.with_text(packet, merged, what)), False


def _with_description(
    blocks: Blocks, caption: str, options: MetadataOptions, own: str | None
) -> tuple[Blocks, bool]:
    found = read_descriptions(blocks)
    if found == [caption, caption, iptc.shortened(caption)][: len(found)]:
        return blocks, False
    languages = xmp.read_texts(blocks.xmp).values()
    persons = _written_by_persons((*languages, *found, *blocks.others), caption, own)
    if persons and options.on_description == "keep":
        return blocks, True
    if persons and options.on_description != "replace":
        exif.check_legible(blocks.exif)  # it is copied, as UTF-8
    # Fields without a description get the person's from another field, so that all agree.
    other = next(iter(persons), None)
    in_exif, in_xmp, in_iptc = (
        _merged(text if text in persons else other, caption, options, own)
        for text in (*found, None)[:3]
    )
    if in_exif != found[0]:
        blocks = replace(blocks, exif=exif.with_description(blocks.exif, in_exif))
    if in_xmp != found[1]:
        blocks = replace(blocks, xmp=xmp.with_text(blocks.xmp, in_xmp))
    if blocks.iptc is not None and found[2] not in (in_iptc, iptc.shortened(in_iptc)):
        blocks = replace(blocks, iptc=iptc.with_caption(blocks.iptc, in_iptc))
    return blocks, False


def _written_by_persons(texts: Iterable[str | None], caption: str, own: str | None) -> list[str]:
    """Return the descriptions that neither a camera nor capgen wrote."""
    written = {None, *(made and iptc.shortened(made) for made in (caption, own)), caption, own}
    return [text for text in texts if text not in written and not is_filler(text) and text]


def _merged(text: str | None, caption: str, options: MetadataOptions, own: str | None) -> str:
    """Return the new text of a field in which a person wrote `text`, or nobody did."""
    between = options.separator_text
    if text is None or options.on_description == "replace":
        return caption
    if options.on_description == "prepend":
        text = text.removeprefix(f"{own}{between}").removeprefix(f"{caption}{between}")
        return caption + between + text
    text = text.removesuffix(f"{between}{own}").removesuffix(f"{between}{caption}")
    return text + between + caption
