"""What a window asks to decide, checked."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from capgen.errors import UsageError
from capgen.records import Review
from capgen.records.reviews import VERDICTS

LONGEST_CAPTION = 20_000


@dataclass(frozen=True)
class Change:
    """A decision that a window asks for.

    Attributes:
        id: The image.
        version: The version of the image that the window shows.
        verdict: See `Review`; None takes the decision before back.
        caption: The text to accept or write; None for the one that the image has.
    """

    id: int
    version: int
    verdict: str | None
    caption: str | None = None

    @classmethod
    def from_dict(cls, content: object) -> Change:
        """Read the JSON form.

        Raises:
            UsageError: It is not one.
        """
        if not isinstance(content, Mapping):
            raise UsageError("A change must be an object")
        number, version = content.get("id"), content.get("version")
        verdict, caption = content.get("verdict"), content.get("caption")
        if not _is_count(number) or not _is_count(version):
            raise UsageError("A change needs a whole 'id' and 'version'")
        if verdict is not None and verdict not in VERDICTS:
            raise UsageError(f"A verdict must be one of {', '.join(VERDICTS)}, or null")
        if caption is not None and not isinstance(caption, str):
            raise UsageError("A caption must be text")
        return cls(number, version, verdict, None if caption is None else clean(caption))


def clean(caption: str) -> str:
    """Return a typed caption as one line, without what no file should have in it.

    Raises:
        UsageError: It is too long.
    """
    if len(caption) > LONGEST_CAPTION:
        raise UsageError(f"A caption can have {LONGEST_CAPTION:,} characters")
    kept = "".join(
        # Control characters and lone surrogates, which UTF-8 cannot hold.
        " " if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character
        for character in caption
    )
    return " ".join(kept.split())


def review_of(change: Change, proposed: str | None, shown: str | None, by: str, at: str) -> Review:
    """Return the decision that a change with a verdict asks for.

    The verdict follows from the text: what is accepted with another text than the proposed one is
    edited, and what is edited back to it is accepted.

    Args:
        change: The change.
        proposed: The caption that the model proposed, or None.
        shown: The caption that the image has now, or None.
        by: Who decides.
        at: When.

    Raises:
        UsageError: There is no text to accept.
    """
    assert change.verdict is not None
    if change.verdict == "rejected":
        return Review(verdict="rejected", proposed=proposed, caption=proposed or "", by=by, at=at)
    text = shown if change.caption is None else change.caption
    if not text:
        raise UsageError("A caption that is accepted needs a text", hint="Type one, or reject it.")
    unchanged = proposed is not None and text == clean(proposed)
    return Review(
        verdict="accepted" if unchanged else "edited",
        proposed=proposed,
        caption=proposed if unchanged and proposed is not None else text,
        by=by,
        at=at,
    )


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
