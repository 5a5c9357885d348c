"""What a text sidecar is to hold: a caption, alone or with what is there, byte for byte."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

_LINE_END = re.compile(r"\r\n|\n|\r")
# Marks at the beginning of text files, the longer ones first, and the encoding they stand for.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class UnreadableTextError(Exception):
    """A sidecar's text cannot be added to; says why, as the end of a sentence."""


def text_sidecar(
    captions: Sequence[str], before: bytes = b"", policy: str = "overwrite", separator: str = ", "
) -> bytes:
    """Return the bytes of a sidecar.

    Args:
        captions: The captions of one image. They are a line each in a new file; added to
            others they are separated as those are from them.
        before: What is there; what is not replaced keeps its encoding, mark and line ends.
        policy: `overwrite`, `append` or `prepend`. What is there already at that end is not
            added again.
        separator: What comes between what is there and what is added. Line breaks in it
            become those of the file.

    Raises:
        UnreadableTextError: Its encoding is unknown, or has no room for the caption.
    """
    added = [" ".join(_LINE_END.split(caption)) for caption in captions]
    lines = "".join(f"{line}\n" for line in added)
    if policy == "overwrite" or not before:
        return encoded(lines, "utf-8")
    mark, encoding = _encoding(before)
    text = before[len(mark) :].decode(encoding)
    body = text.rstrip("\r\n")
    line_end = "\r\n" if "\r\n" in text else "\n"
    between = separator.replace("\n", line_end)
    new = between.join(added)
    if not body:
        return mark + encoded(new + (text or line_end), encoding)
    tail = text[len(body) :] or (line_end if "\n" in separator else "")
    if policy == "append":
        if body == new or body.endswith(between + new):
            return before
        # What is there is not decoded and encoded again: its bytes stay.
        kept = before[: len(mark) + len(encoded(body, encoding))]
        return kept + encoded(between + new + tail, encoding)
    if body == new or body.startswith(new + between):
        return before
    missing = tail if not text[len(body) :] else ""
    return (
        mark + encoded(new + between, encoding) + before[len(mark) :] + encoded(missing, encoding)
    )


def encoded(text: str, encoding: str) -> bytes:
    """Return the bytes of a text.

    Raises:
        UnreadableTextError: The encoding cannot hold it.
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        letter = error.object[error.start]
        raise UnreadableTextError(
            f"the caption has {letter!a}, which {encoding} cannot hold: it is not written"
        ) from error


def _encoding(data: bytes) -> tuple[bytes, str]:
    """Return the mark that a text begins with, and its encoding.

    Raises:
        UnreadableTextError: The encoding cannot be told for sure.
    """
    mark, encoding = next((item for item in _MARKS if data.startswith(item[0])), (b"", "utf-8"))
    # Whatever is not UTF-8 and has no mark is what Windows' editors called "ANSI".
    for name in (encoding,) if mark else (encoding, "cp1252"):
        try:
            text = data[len(mark) :].decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return mark, name
    raise UnreadableTextError("it is not text in a known encoding: nothing was added to it")
