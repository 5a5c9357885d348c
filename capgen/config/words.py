"""Words that captions must have or must not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from capgen.config.fields import flag_name, setting
from capgen.errors import UsageError

# Any of these phrases; a phrase is one word or several.
Alternatives = tuple[str, ...]

# Exact search takes time and memory with the number of avoided words, and twice as much with
# every included one.
_MOST_AVOIDED, _MOST_INCLUDED, _MOST_ALTERNATIVES, _LONGEST = 100, 6, 20, 60


@dataclass(frozen=True, kw_only=True)
class WordOptions:
    """Words that captions must have or must not have; None for none.

    A word counts as a whole word, in upper or lower case and in exactly this form: "cat" is
    not in "cats" or "category". Other forms are words of their own.

    Raises:
        UsageError: There are too many words, or a word is both avoided and included.
    """

    PANEL: ClassVar[str] = "Words"

    avoid_words: str | None = setting(
        None, 'Words and phrases that no caption may have, as in "photo,cell phone".'
    )
    include_words: str | None = setting(
        None, 'Words and phrases that every caption must have; "cat,kitchen|room" has alternatives.'
    )

    def __post_init__(self) -> None:
        avoided = avoided_words(_text(self, "avoid_words"))
        included = included_words(_text(self, "include_words"))
        _check(len(avoided) <= _MOST_AVOIDED, f"--avoid-words takes at most {_MOST_AVOIDED} words")
        _check(
            len(included) <= _MOST_INCLUDED, f"--include-words takes at most {_MOST_INCLUDED} words"
        )
        for any_of in included:
            _check(
                len(any_of) <= _MOST_ALTERNATIVES,
                f"--include-words takes at most {_MOST_ALTERNATIVES} alternatives of a word",
            )
            if {word.casefold() for word in any_of} <= {word.casefold() for word in avoided}:
                raise UsageError(
                    f"'{'|'.join(any_of)}' is in --avoid-words and in --include-words: choose one"
                )
        for word in (*avoided, *(word for any_of in included for word in any_of)):
            _check(
                len(word) <= _LONGEST,
                f"A word to avoid or to include has at most {_LONGEST} characters, not '{word}'",
            )


def avoided_words(text: str | None) -> tuple[str, ...]:
    """Return the phrases in a value of `avoid_words`, in order, each once."""
    return _phrases(text or "", ",")


def included_words(text: str | None) -> tuple[Alternatives, ...]:
    """Return for each word in a value of `include_words` its alternatives."""
    parts = (_phrases(part, "|") for part in (text or "").split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def without_spare_spaces(words: str | None) -> str | None:
    """Return a value of `avoid_words` or `include_words` as settings hold it; None for none."""
    return ",".join("|".join(any_of) for any_of in included_words(words)) or None


def _phrases(text: str, separator: str) -> tuple[str, ...]:
    phrases = (" ".join(part.split()) for part in text.split(separator))
    return tuple(dict.fromkeys(phrase for phrase in phrases if phrase))


def _text(options: Any, name: str) -> str | None:
    value = getattr(options, name)
    _check(
        value is None or isinstance(value, str),
        f"{flag_name(name)} is {value!r}; it must be text, as in 'cat,dog'",
    )
    return value if value is None else str(value)


def _check(fine: bool, message: str) -> None:
    if not fine:
        raise UsageError(message)
