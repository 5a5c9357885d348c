"""What happens to captions after decoding."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from capgen.config.fields import flag_name, setting
from capgen.errors import UsageError

# The first = without a backslash before it parts what is replaced from its replacement.
_REPLACEMENT = re.compile(r"((?:[^\\=]|\\.)+)=(.*)", re.DOTALL)
_COUNTS = re.compile(r"\{([0-9]{1,12})[0-9]*(?:,[0-9]*)?\}")
_LONGEST_PATTERN, _MOST_REPEATS = 10_000, 100_000


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """Changes to the text of captions, made in this order: openings, replacements, both ends.

    Records keep the text that was changed beside the new one.

    Raises:
        UsageError: A replacement is not OLD=NEW with a regular expression.
    """

    PANEL: ClassVar[str] = "Words"

    trim_openings: bool = setting(
        False,
        'Leave out openings such as "This image shows" and "Here is a caption:", headings, and '
        "quotes around it (English).",
    )
    replace: tuple[str, ...] = setting(
        (),
        r"Replace what a regular expression matches, as in '\bguy\b=man'; can be given several "
        r"times. An = to match is written \=.",
    )
    prefix: str | None = setting(None, "Put this text before each caption, spaces as they are.")
    suffix: str | None = setting(None, "Put this text after each caption, spaces as they are.")

    def __post_init__(self) -> None:
        several = isinstance(self.replace, tuple | list)
        if not several or not all(isinstance(text, str) for text in self.replace):
            raise UsageError(f"--replace is {self.replace!r}; it must be texts, as in ('old=new',)")
        for name in ("prefix", "suffix"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise UsageError(f"{flag_name(name)} is {value!r}; it must be text")
        for text in self.replace:
            _check_replacement(text)


def edits_of(options: EditOptions) -> dict[str, Any]:
    """Return the changes that options ask for, as fields of `DecodeSettings`."""
    return {
        "prefix": options.prefix or None,
        "suffix": options.suffix or None,
        "replace": tuple(options.replace),
        "trim_openings": options.trim_openings,
    }


def replacement_of(text: str) -> tuple[str, str]:
    """Return the regular expression and the replacement of a value of `replace`.

    Raises:
        UsageError: It is not OLD=NEW.
    """
    parts = _REPLACEMENT.fullmatch(text)
    if parts is None:
        raise UsageError(
            f"--replace is {text!r}; it must be OLD=NEW, a regular expression and its replacement",
            hint=r"For example: --replace '\bguy\b=man'",
        )
    return parts[1].replace("\\=", "="), parts[2]


def _repeats(pattern: str) -> int:
    """Return how large repetitions may make a pattern: the product of their least counts."""
    return math.prod(max(1, int(count)) for count in _COUNTS.findall(pattern))


def _check_replacement(text: str) -> None:
    import regex

    old, new = replacement_of(text)
    if len(old) > _LONGEST_PATTERN or _repeats(old) > _MOST_REPEATS:
        # Patterns are compiled with all their repetitions, and nothing limits the memory.
        raise UsageError(
            f"--replace {text[:60]!r}: the regular expression is too large",
            hint=f"It may have {_LONGEST_PATTERN:,} characters, and counts such as {{3}} that "
            f"multiply to at most {_MOST_REPEATS:,}.",
        )
    try:
        # With an alternative that always matches, so that the replacement is read too.
        regex.sub(old + "|", new, "", timeout=1)
        regex.compile(old)
    except (regex.error, IndexError, TimeoutError, RecursionError) as error:
        raise UsageError(f"--replace {text!r}: {error}") from error
