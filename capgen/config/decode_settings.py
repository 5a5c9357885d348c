"""Complete settings of decoding, as records hold them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """Complete decoding settings; names and meanings as in `DecodeOptions`.

    Attributes:
        sample: Draw tokens at random instead of taking the likeliest.
        early_stopping: Stop a beam search at `num_beams` finished captions (as in transformers,
            including `"never"`).
        repeat_nouns: Whether a noun may be repeated. Older records and fits lack this field;
            they were made with True.
        diverse: Choose `num_captions` captions that differ from a wider search.
        concept_bonus: Multiplies what the concept head adds; 0.0 where it has no part in the
            search, as in models without one. Fields from here on are left out of records where
            they have their default, so that records and journals without them stay what they
            are.
        avoid_words: As `included_words` and `avoided_words` read it; None for no words.
    """

    beams: int = 1
    sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    max_length: int = 32
    min_length: int = 0
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    repeat_nouns: bool = True
    num_captions: int = 1
    seed: int | None = None
    early_stopping: bool | str = False
    diverse: bool = False
    retry: bool = True
    confidence: bool = False
    min_confidence: float | None = None
    concept_bonus: float = 0.0
    avoid_words: str | None = None
    include_words: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    replace: tuple[str, ...] = ()
    trim_openings: bool = False
    max_words: int | None = None
    max_characters: int | None = None

    @property
    def asks_for_lengths(self) -> bool:
        """Whether captions are limited in words or characters."""
        return self.max_words is not None or self.max_characters is not None

    @property
    def asks_for_words(self) -> bool:
        """Whether there are words to avoid or to include."""
        return self.avoid_words is not None or self.include_words is not None

    @property
    def asks_for_edits(self) -> bool:
        """Whether the text of captions is changed after decoding."""
        return any((self.trim_openings, self.replace, self.prefix, self.suffix))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as built-in types, for records."""
        known = dataclasses.asdict(self)
        known["replace"] = list(self.replace)
        return {name: value for name, value in known.items() if name not in _NEWER or value}


# Settings that records have only where they are not the default, which is empty.
_NEWER = (
    *("concept_bonus", "avoid_words", "include_words"),
    *("prefix", "suffix", "replace", "trim_openings"),
    *("max_words", "max_characters"),
)
