"""What happens to captions after decoding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from capgen.config.fields import flag_name, setting
from capgen.errors import UsageError

# The first = without a backslash before it parts what is replaced from its replacement.
_REPLACEMENT = re.compile(r"((?:[^\\=]|\\.)+)=(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """Changes to the text of captions, made in this order: openings, replacements, both ends.

    Records keep the text that was changed beside the new one.

    Raises:
        UsageError: A replacement is not OLD=NEW with a regular expression.
    """

    PANEL: ClassVar[str] = "Words"

    trim_openings: bool = setting(
        False, 'Leave out openings such as "This image shows" and "A photo of" (English).'
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


def _check_replacement(text: str) -> None:
    import regex

    old, new = replacement_of(text)
    try:
        # With an alternative that always matches, so that the replacement is read too.
        regex.sub(old + "|", new, "", timeout=1)
        regex.compile(old)
    except (regex.error, IndexError, TimeoutError) as error:
        raise UsageError(f"--replace {text!r}: {error}") from error
