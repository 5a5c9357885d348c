"""What stands in the place of a prompt's placeholders: from an image's name and its metadata.

What metadata says is text about one image, whoever wrote it: it becomes one short line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import unquote, urlsplit

from capgen.addresses import is_stored, is_url
from capgen.captioning.prompts import one_spaced
from capgen.images.metadata import facts

# Placeholders that depend on the bytes of an image alone; the others depend on its name.
OF_METADATA = frozenset(("date", "caption", "tags", "place"))
# Characters of a value.
LONGEST = 500
# What the marks of chat templates begin with, as in <|im_start|>, <image>, [INST] and ◁think▷.
_MARK_BEGINS = re.compile("[<\uff1c\\[\uff3b◁]")


def placeholder_values(
    path: str | None,
    data: bytes | None,
    wanted: Collection[str],
    context: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the values of placeholders for an image; those without a value are left out.

    Args:
        path: Its name in records, or None.
        data: Its file's bytes, or None for an image in memory.
        wanted: Names of placeholders. The metadata is only read if one of them needs it.
        context: Values that neither has: see `capgen.captioning.prompts.Prompt`.
    """
    values = {} if path is None else _of_name(path)
    if data is not None and not OF_METADATA.isdisjoint(wanted):
        blocks = facts.read_blocks(data)
        values |= {
            "date": facts.date(blocks),
            "caption": facts.description(blocks),
            "tags": ", ".join(facts.keywords(blocks)),
            "place": ", ".join(facts.place(blocks)),
        }
    values |= context or {}
    lines = {name: _one_line(text) for name, text in values.items() if name in wanted}
    return {name: text for name, text in lines.items() if text}


def without_marks(text: str) -> str:
    """Return a value in which no tokenizer finds a mark: of an image, a message, the end.

    A space parts each mark. Otherwise a photo's description could end the user's message and begin
    another.
    """
    return _MARK_BEGINS.sub(r"\g<0> ", text)


def name_key(
    path: str | None, wanted: Collection[str], context: Mapping[str, str] | None = None
) -> str:
    """Return what placeholders take from an image's name and context; empty if nothing."""
    named = [name for name in wanted if name not in OF_METADATA]
    values = placeholder_values(path, None, named, context)
    return "\0".join(f"{name}={value}" for name, value in sorted(values.items()))


def _of_name(path: str) -> dict[str, str]:
    if is_url(path):
        place: PurePath = PurePosixPath(unquote(urlsplit(path).path))
        return {"file": place.stem, "folder": place.parent.name}
    if is_stored(path):
        place = PurePosixPath(path.partition("://")[2])
        return {"file": place.stem, "folder": place.parent.name}
    place = PurePath(path)
    folder = place.parent.name
    if folder in ("", ".."):  # relative to the working directory
        folder = Path(os.path.normpath(Path.cwd() / place)).parent.name
    return {"file": place.stem, "folder": folder}


def _one_line(text: str) -> str:
    # A name may hold bytes that are no text, and no tokenizer takes them.
    text = text.encode("utf-8", "replace").decode()
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return one_spaced(shown)[:LONGEST].rstrip()
