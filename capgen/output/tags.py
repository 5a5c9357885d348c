"""Tags: the names of an image's likeliest concepts, as they are shown and written."""

from __future__ import annotations

import re
from collections.abc import Sequence

from capgen.config import TagOptions
from capgen.config.words import avoided_words
from capgen.output.escaping import one_line
from capgen.records import Caption


def tags_of(caption: Caption, options: TagOptions) -> tuple[str, ...] | None:
    """Return the tags of an image, likeliest first; None if there are to be none.

    Words that the caption was to avoid are no tags either.
    """
    if not options.tags:
        return None
    least = options.min_tag_probability
    avoided = avoided_words(caption.settings.get("avoid_words"))
    return tuple(
        each.name
        for each in caption.concepts
        if each.probability >= least and not any(_says(each.name, word) for word in avoided)
    )


def _says(name: str, word: str) -> bool:
    """Whether a concept's name has a word or phrase, as a whole and in this form."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", name, re.IGNORECASE) is not None


def joined_tags(tags: Sequence[str]) -> str:
    """Return tags as one text, with commas between them."""
    return ", ".join(tags)


def tags_field(tags: Sequence[str]) -> str:
    """Return tags as a field of a line with tabs; - for none."""
    return one_line(joined_tags(tags)) or "-"
