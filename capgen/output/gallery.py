"""A self-contained HTML gallery of captioned images.

Captions can be edited in the browser and exported as JSON Lines.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capgen.config import NO_TAGS, TagOptions
from capgen.output.base import Write, writing_text
from capgen.output.tags import joined_tags, tags_of
from capgen.pages.page import render
from capgen.records import SCHEMA_VERSION, Caption, Record

# The place of the cards in `templates/gallery.html`.
_CARDS = "<!-- cards -->\n"


@contextmanager
def open_gallery(path: Path, tags: TagOptions = NO_TAGS) -> Iterator[Write]:
    """Write a gallery; cards are written as the records come, to save memory."""
    with writing_text(path) as stream:
        head, tail = render("gallery.html", title="Captions").split(_CARDS)
        stream.write(head)
        number = 0

        def write(record: Record, thumbnail: bytes | None) -> None:
            nonlocal number
            number += 1
            stream.write(_card(record, thumbnail, number, tags))

        yield write
        stream.write(tail)


def _card(record: Record, thumbnail: bytes | None, number: int, tags: TagOptions) -> str:
    found = tags_of(record, tags) if isinstance(record, Caption) else None
    return render(
        "gallery_card.html",
        record=record,
        captioned=isinstance(record, Caption),
        fault=record.unwritten if isinstance(record, Caption) else record,
        thumbnail=base64.b64encode(thumbnail).decode("ascii") if thumbnail else "",
        exported=json.dumps(_exported(record)),
        number=number,
        tags=joined_tags(found or ()),
    )


def _exported(record: Record) -> dict[str, Any]:
    """Return an image's line in an export."""
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "path": record.path,
        "sha256": record.sha256,
        "model": record.model,
        "revision": record.revision,
    }
    if record.confidence is not None:
        content["confidence"] = record.confidence
    if isinstance(record, Caption):
        concepts = [dataclasses.asdict(concept) for concept in record.concepts]
        content |= {"caption": record.text, "score": record.score}
        if record.review is not None:
            content["review"] = record.review.to_dict()
        return content | ({"concepts": concepts} if concepts else {})
    error = {"code": record.code, "message": record.message}
    return content | {"caption": None, "error": error}
