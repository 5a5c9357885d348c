"""What happens to the text of captions after decoding: openings, replacements, prefix, suffix."""

from __future__ import annotations

import re
from dataclasses import replace

from capgen.config import DecodeSettings
from capgen.config.edits import replacement_of
from capgen.records import Caption

# A replacement that takes longer, or makes a caption longer, is left out: some patterns would
# take years on some texts. Ordinary ones take microseconds.
_SECONDS = 1.0
_MOST_CHARACTERS = 100_000

_IMAGE = r"(?:image|picture|photo|photograph|pic|snapshot|scene)"
_SHOWS = (
    r"(?:shows?|depicts?|features?|displays?|contains?|captures?|presents?|portrays?|illustrates?"
    r"|showcases?|is (?:of|about|showing|depicting)|appears to (?:show|depict|be))"
)
_SEEN = r"(?:(?:we|you|one|i)(?: can)? see|there (?:is|are|appears to be|seems to be))"
_MADE = (
    rf"(?:an? (?:[\w-]+,? ){{0,5}}(?:{_IMAGE}|shot|close-up|portrait|view|screenshot|collage"
    r"|drawing|painting|illustration)\b)"
)
_KIND = r"(?:brief|short|concise|detailed|descriptive|comprehensive|image|photo|picture|list of)"
_TEXT = rf"(?:{_KIND} ){{0,3}}(?:description|caption|alt text|tags)"
# What an opening leaves is a caption of its own. "A painting of" says something: it stays.
_OPENINGS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:this|the|that) {_IMAGE} {_SHOWS}:? ",
        rf"(?:(?:this|here|it) is |(?:here|it)['’]s )?(?:an?|the) {_IMAGE} "
        r"(?:of|showing|depicting) ",
        rf"{_IMAGE} (?:of|showing|depicting) ",
        rf"in (?:this|the) {_IMAGE},? (?:{_SEEN} )?",
        rf"(?:(?:this|the|that) {_IMAGE}|this|it) is (?={_MADE})",
        # What chat models put before an answer: Markdown's headings, too.
        r"#{1,6} [^\n]*\n",
        r"(?:sure|certainly|of course)[,.!] (?=here)",
        rf"here(?: is|['’]s) (?:an?|the|your) {_TEXT}"
        rf"(?: (?:of|for) (?:the|this|your) {_IMAGE})?:\s",
        rf"(?:\*\*)?(?:{_TEXT}|subject)(?::\*\*|\*\*:|:)\s",
    )
)
_QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]?", re.DOTALL)
# "A photo of this image shows" and the like come one after the other.
_MOST_OPENINGS = 4


def edit_captions(caption: Caption, settings: DecodeSettings) -> Caption:
    """Return a caption, its alternatives too, with the changes that settings ask for.

    `raw` keeps the text of those that are changed. Replacements that could not be made are named
    in the notes.
    """
    if not settings.asks_for_edits:
        return caption
    notes: list[str] = []
    edited = _edited(caption, settings, notes)
    others = tuple(_edited(other, settings, notes) for other in caption.alternatives)
    return replace(edited, alternatives=others, notes=(*caption.notes, *dict.fromkeys(notes)))


def trim_openings(text: str) -> str:
    """Return an English caption without an opening that only says that it is of an image.

    Quotes around the whole caption go with it. What follows is capitalised if the opening was.
    """
    trimmed = _unquoted(text)
    for _ in range(_MOST_OPENINGS):
        match = next((m for m in (each.match(trimmed) for each in _OPENINGS) if m), None)
        if match is None or not trimmed[match.end() :].strip():
            break
        trimmed = _unquoted(trimmed[match.end() :].lstrip())
    if next(filter(str.isalpha, text), "").isupper():
        trimmed = trimmed[:1].upper() + trimmed[1:]
    return trimmed


def _unquoted(text: str) -> str:
    """Return a text without the quotes around it; a limit may have cut off the second."""
    quoted = _QUOTED.fullmatch(text)
    return text if quoted is None else quoted[1]


def _edited(caption: Caption, settings: DecodeSettings, notes: list[str]) -> Caption:
    text = trim_openings(caption.text) if settings.trim_openings else caption.text
    for each in settings.replace:
        text = replaced(text, each, notes)
    text = f"{settings.prefix or ''}{text}{settings.suffix or ''}"
    return caption if text == caption.text else replace(caption, text=text, raw=caption.text)


def replaced(text: str, asked: str, notes: list[str]) -> str:
    """Return a caption with a replacement made, or as it was if that takes too long.

    Args:
        text: The caption.
        asked: What to replace (see `EditOptions.replace`).
        notes: Gets a note if it could not be made.
    """
    import regex

    old, new = replacement_of(asked)
    try:
        changed = regex.sub(old, new, text, timeout=_SECONDS)
    except TimeoutError:
        notes.append(f"--replace {asked!r} took too long on a caption and was left out")
        return text
    if len(changed) > _MOST_CHARACTERS:
        notes.append(f"--replace {asked!r} made a caption too long and was left out")
        return text
    return changed
