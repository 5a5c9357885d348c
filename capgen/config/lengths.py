"""How long captions may be, in words and characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from capgen.config.fields import setting

# The most words of a caption in each style.
STYLES = {"short": 8}
# Of 100 photographs none has a caption of the bundled model that is longer, or half a phrase.
LEAST_WORDS, LEAST_CHARACTERS = 3, 15
LENGTH_HINTS = dict.fromkeys(
    ("max_words", "max_characters"),
    "No sentence is shorter. For single words, write tags: --tags.",
)


@dataclass(frozen=True, kw_only=True)
class LengthOptions:
    """The most that a caption may say; None for any length.

    Longer captions are not cut: another one is looked for that ends in time. What `prefix` and
    `suffix` add does not count.
    """

    PANEL: ClassVar[str] = "Decoding"

    max_words: int | None = setting(
        None, "Most words of a caption; it ends properly.", low=LEAST_WORDS, high=1000
    )
    max_characters: int | None = setting(
        None,
        "Most characters of a caption, as for alt texts; it ends properly.",
        low=LEAST_CHARACTERS,
        high=10000,
    )
    style: str | None = setting(
        None,
        f"Style of captions; short means at most {STYLES['short']} words.",
        choices=tuple(STYLES),
    )


def lengths_of(options: LengthOptions) -> dict[str, Any]:
    """Return the limits that options ask for, as fields of `DecodeSettings`."""
    words, characters = options.max_words, options.max_characters
    if words is None and options.style is not None:
        words = STYLES[options.style]
    return {
        "max_words": None if words is None else int(words),
        "max_characters": None if characters is None else int(characters),
    }
