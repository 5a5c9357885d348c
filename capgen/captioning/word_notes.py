"""Which of the words that were asked for a caption lacks, and which it should not have."""

from __future__ import annotations

from dataclasses import replace

from capgen.captioning.decoding.word_patterns import readers_of
from capgen.config import DecodeSettings
from capgen.config.words import avoided_words, included_words
from capgen.records import Caption


def with_word_notes(caption: Caption, settings: DecodeSettings) -> Caption:
    """Return a caption with a note for each word that is not as asked in it or an alternative."""
    if not settings.asks_for_words:
        return caption
    avoided = avoided_words(settings.avoid_words)
    included = included_words(settings.include_words)
    notes = []
    texts = [caption.text, *(other.text for other in caption.alternatives)]
    reader = readers_of((), included)
    for number, any_of in enumerate(included):
        if not all(reader.find(text) & (2 << number) for text in texts):
            words = " or ".join(f"'{word}'" for word in any_of)
            notes.append(f"could not include {words}")
    for word in avoided:
        reader = readers_of((word,), ())
        if any(reader.find(text) for text in texts):
            notes.append(f"could not avoid '{word}'")
    return replace(caption, notes=(*caption.notes, *notes))
