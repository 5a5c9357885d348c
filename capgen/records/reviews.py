"""What a person decided about a caption."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

VERDICTS = ("accepted", "edited", "rejected")
# The `review` of a record without a decision, in a file where others have one.
NO_REVIEW = {"verdict": "", "proposed": "", "by": "", "at": ""}
_WHOLE_SECONDS = re.compile(r"(T\d\d:\d\d:\d\d)(?=[Z+-]|$)")


@dataclass(frozen=True, kw_only=True)
class Review:
    """One decision.

    Attributes:
        verdict: `accepted` (as proposed), `edited` (a person wrote another text) or `rejected`.
        proposed: The model's caption that was reviewed; None if the image had none.
        caption: What the person accepted or wrote; for a rejected caption the proposed one.
        by: Who decided, or an empty string.
        at: When, as ISO 8601 in UTC, or an empty string.
    """

    verdict: str
    proposed: str | None
    caption: str
    by: str = ""
    at: str = ""

    @property
    def kept(self) -> bool:
        """Whether the image has a caption that a person stands for."""
        return self.verdict != "rejected"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, for what has the caption itself."""
        return {
            "verdict": self.verdict,
            "proposed": self.proposed,
            "by": self.by,
            "at": self.at,
        }

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form in a record.

        Its time has milliseconds: Arrow takes text for a time if all of a file's first lines have
        whole seconds, and then refuses the empty text of a record without a decision.
        """
        return {**self.to_dict(), "at": _WHOLE_SECONDS.sub(r"\1.000", self.at)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], caption: str) -> Self:
        """Read the JSON form in a record.

        Raises:
            KeyError, TypeError: It is not one.
        """
        if content["verdict"] not in VERDICTS:
            raise TypeError(f"{content['verdict']!r} is not a verdict")
        return cls(
            verdict=content["verdict"],
            proposed=content["proposed"],
            caption=caption,
            by=str(content.get("by", "")),
            at=str(content.get("at", "")),
        )
