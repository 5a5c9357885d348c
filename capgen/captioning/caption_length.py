"""Whether captions are as short as was asked, by their text; and what is said if not."""

from __future__ import annotations

import re
from dataclasses import replace

from capgen.config import DecodeSettings
from capgen.records import Caption

# The marks that end a sentence, and quotes and brackets that belong to it. What goes on in small
# letters goes on.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s*$|\s+[^\sa-z])|[。！？]+[」』”’）]*")


def words_in(text: str) -> int:
    """Return the number of words: what spaces part and has a letter or digit."""
    return sum(any(map(str.isalnum, part)) for part in text.split())


def fits(text: str, settings: DecodeSettings) -> bool:
    """Whether a text is as short as settings ask."""
    words, characters = settings.max_words, settings.max_characters
    return (words is None or words_in(text) <= words) and (
        characters is None or len(text) <= characters
    )


def whole_sentences(text: str, settings: DecodeSettings) -> str:
    """Return as many whole sentences of a text as fit; all of it if not even the first does."""
    if fits(text, settings):
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    shorter = (text[:end] for end in reversed(ends))
    return next((part for part in shorter if fits(part, settings)), text)


def with_length_note(caption: Caption, settings: DecodeSettings) -> Caption:
    """Return a caption with a note if it or an alternative is longer than asked."""
    texts = (caption.text, *(other.text for other in caption.alternatives))
    if all(fits(text, settings) for text in texts):
        return caption
    asked = [
        f"{name} {getattr(settings, name)}"
        for name in ("max_words", "max_characters")
        if getattr(settings, name) is not None
    ]
    return replace(caption, notes=(*caption.notes, f"longer than {' and '.join(asked)}"))
