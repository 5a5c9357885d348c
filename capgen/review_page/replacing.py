"""Find and replace over many captions: what would change."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from capgen.captioning.edit_captions import replaced
from capgen.config import EditOptions
from capgen.errors import UsageError
from capgen.review_page.changes import clean

# Some patterns take years on some texts.
_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What to find, and what to write instead.

    Attributes:
        find: A text, or a regular expression.
        replace: What to write instead; in a regular expression's, `\\1` is its first group.
        regex: Whether `find` is a regular expression.
        whole_word: Whether only whole words are found.
        ignore_case: Whether capitals and small letters are the same.
    """

    find: str
    replace: str
    regex: bool = False
    whole_word: bool = False
    ignore_case: bool = False

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Replacement:
        """Read the JSON form.

        Raises:
            UsageError: It is not one.
        """
        find, new = content.get("find"), content.get("replace")
        if not isinstance(find, str) or not find or not isinstance(new, str):
            raise UsageError("Find and replace need a text to find and one to write")
        switches = {
            name: bool(content.get(name)) for name in ("regex", "whole_word", "ignore_case")
        }
        return cls(find=find, replace=new, **switches)

    @property
    def asked(self) -> str:
        """It as a value of `EditOptions.replace`."""
        pattern = self.find if self.regex else re.escape(self.find)
        if self.whole_word:
            pattern = rf"(?<!\w)(?:{pattern})(?!\w)"
        if self.ignore_case:
            pattern = f"(?i){pattern}"
        new = self.replace if self.regex else self.replace.replace("\\", r"\\")
        return f"{_escaped(pattern)}={new}"


def preview(
    replacement: Replacement, captions: Iterable[tuple[int, str | None]]
) -> list[dict[str, Any]]:
    """Return what a replacement would change, as the page shows it.

    Args:
        replacement: What to replace.
        captions: The ids of images with their captions.

    Raises:
        UsageError: The regular expression is wrong, takes too long, or makes a text too long.
    """
    asked = replacement.asked
    try:
        EditOptions(replace=(asked,))
    except UsageError as error:
        reason = error.message.rpartition(": ")[2]
        raise UsageError(
            f"The regular expression is not right: {reason}", hint=error.hint
        ) from error
    changes = []
    notes: list[str] = []
    end = time.monotonic() + _SECONDS
    for number, text in captions:
        if text is None:
            continue
        after = clean(replaced(text, asked, notes))
        if notes or time.monotonic() > end:
            raise UsageError(
                "The replacement takes too long, or makes a caption too long",
                hint="Make it simpler.",
            )
        if after != text:
            changes.append({"id": number, "before": text, "after": after})
    return changes


def _escaped(pattern: str) -> str:
    r"""Return a pattern whose = are written `\=`, unless they are already."""
    return re.sub(r"(\\.)|=", lambda found: found[1] or r"\=", pattern, flags=re.DOTALL)
