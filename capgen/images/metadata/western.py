"""Texts that are not UTF-8 and do not say what they are: Western European, or nobody knows."""

from __future__ import annotations


def may_be_western(raw: bytes) -> bool:
    """Whether bytes that are not UTF-8 may be Windows-1252, in which most letters are ASCII's.

    Cyrillic, Greek, Chinese and Japanese in their old encodings are mostly other bytes.
    """
    others = sum(byte >= 0x80 for byte in raw)
    return others <= max(2, sum(bytes([byte]).isalpha() for byte in raw))
