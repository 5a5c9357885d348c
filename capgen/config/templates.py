"""Prompts with placeholders, as in `a photo of {place}`: checked and filled in.

`{{` and `}}` stand for braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from capgen.errors import UsageError, did_you_mean

# Placeholder → what stands in its place, about one image.
PLACEHOLDERS = {
    "file": "the name of its file, without the suffix",
    "folder": "the name of its folder",
    "date": "the day on which it was taken, as in 2024-05-31",
    "caption": "the description in its metadata",
    "tags": "the keywords in its metadata",
    "place": "city, state and country in its metadata",
    "heading": "the heading above it on its page, with `capgen alt fill`",
    "paragraph": "the text beside it on its page, with `capgen alt fill`",
    "page": "both of these as a sentence, with `capgen alt fill`",
}
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SPACES = re.compile(r"[ \t]{2,}")


def check_template(text: str, what: str) -> None:
    """Check a prompt, which messages call `what`.

    Raises:
        UsageError: It has an unknown placeholder, or a single brace.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is not valid UTF-8: {text!r}") from error
    for found in _PART.finditer(text):
        if found[0] in ("{", "}"):
            raise UsageError(
                f"{what} has a single '{found[0]}'",
                hint="Write {{ and }} for braces; {file}, for one, is a placeholder.",
            )
        name = found[1]
        if name is not None and name not in PLACEHOLDERS:
            raise UsageError(
                f"{what} has the placeholder {{{name}}}, which is unknown",
                hint=f"{did_you_mean(name, PLACEHOLDERS)} (Write {{{{ and }}}} for braces.)",
            )


def placeholders(text: str) -> frozenset[str]:
    """Return the names of the placeholders in a prompt."""
    return frozenset(found[1] for found in _PART.finditer(text) if found[1])


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a prompt with values for its placeholders; those without one become nothing.

    Values are text: braces in them stay.
    """
    if not _PART.search(text):
        return text
    braces = {"{{": "{", "}}": "}"}
    filled = _PART.sub(lambda found: braces.get(found[0]) or values.get(found[1] or "", ""), text)
    return _SPACES.sub(" ", filled).strip() if placeholders(text) else filled
