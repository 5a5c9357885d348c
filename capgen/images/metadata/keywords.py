"""Keywords in metadata: XMP dc:subject, and IPTC Keywords (2:25).

Both get what a person wrote in either: many programs read only one of them, and would no longer
show the keywords of the other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from capgen.images.metadata import Unwritable, exif, iptc, xmp
from capgen.images.metadata.blocks import Blocks
from capgen.images.metadata.xmp_lists import read_list, with_list


def read_keywords(blocks: Blocks) -> list[list[str]]:
    """Return the keywords in XMP and (if the format can have it) IPTC."""
    found = [read_list(blocks.xmp)]
    return found if blocks.iptc is None else [*found, iptc.read_values(blocks.iptc, iptc.KEYWORDS)]


def with_keywords(
    blocks: Blocks, tags: Iterable[str], own: Iterable[str] = ()
) -> tuple[Blocks, tuple[str, ...]]:
    """Return metadata with tags among its keywords, and those of them that no person wrote.

    Keywords that differ only in case are the same. A field without some of a person's keywords
    gets them from the others, if any tag is added.

    Args:
        blocks: The old metadata.
        tags: The tags.
        own: Keywords that capgen wrote there before: those that are not tags now are removed.

    Raises:
        Unwritable: The keywords are damaged, or written in an unusual way.
    """
    if read_list(blocks.extended):
        raise Unwritable("its keywords are spread over several segments")
    former = {_key(text) for text in own}
    fields = read_keywords(blocks)
    others = (*blocks.other_keywords, *exif.read_windows_keywords(blocks.exif))
    every = _once((*(text for field in fields for text in field), *others))
    persons = [text for text in every if _key(text) not in former]
    known = set(map(_key, persons))
    added = [text for text in _once(map(_one_line, tags)) if _key(text) not in known]
    wanted = {_key(text): text for text in (*persons, *added)}
    if not added:  # nothing to agree about
        wanted = {}
    changed = [_merged(field, wanted, former) for field in fields]
    if changed[0] != fields[0]:
        blocks = replace(blocks, xmp=with_list(blocks.xmp, changed[0]))
    if changed[1:] != fields[1:]:
        blocks = replace(blocks, iptc=iptc.with_keywords(blocks.iptc or b"", changed[1]))
    return blocks, tuple(added)


def _merged(field: Sequence[str], wanted: dict[str, str], former: set[str]) -> list[str]:
    """Return the keywords of a field: the old ones that stay, then those that it lacks."""
    kept = [text for text in field if _key(text) in wanted or _key(text) not in former]
    there = set(map(_key, kept))
    return [*kept, *(_one_line(text) for key, text in wanted.items() if key not in there)]


def _once(texts: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for text in texts:
        if _key(text):
            found.setdefault(_key(text), text)
    return list(found.values())


def _key(text: str) -> str:
    """Return what is the same for two spellings of a keyword, whole or shortened for IPTC."""
    composed = unicodedata.normalize("NFC", _one_line(text))
    return iptc.shortened(composed, iptc.LONGEST_KEYWORD).casefold()


def _one_line(text: str) -> str:
    """Return a keyword without what XML cannot hold, on one line."""
    return " ".join(xmp.allowed(text).split())
