"""The encoding of text that other programs wrote: with a byte order mark, UTF-8 or Windows-1252."""

from __future__ import annotations

import codecs

# Byte order marks and their encodings; UTF-32 first, whose marks begin like those of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def marked_encoding(data: bytes) -> tuple[bytes, str]:
    """Return the byte order mark that a text begins with and its encoding: UTF-8 without one."""
    return next((item for item in _MARKS if data.startswith(item[0])), (b"", "utf-8"))


def encoding_of(data: bytes) -> tuple[bytes, str] | None:
    """Return the byte order mark of a text and its encoding; None if it is no known one.

    Without a mark, text that is not UTF-8 is what Windows' editors called "ANSI".
    """
    mark, encoding = marked_encoding(data)
    for name in (encoding,) if mark else (encoding, "cp1252"):
        try:
            text = data[len(mark) :].decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return mark, name
    return None
