"""Faults in captions, one at a time and across the whole data set."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from capgen.data.formats.reading import Entry
from capgen.data.problems import Problem
from capgen.data.statistics import language, words
from capgen.file_types import IMAGE_SUFFIXES

LONG_WORDS = 60
LONG_CHARACTERS = 400
REPEATED_IMAGES = 5

_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,80}>|&(?:[A-Za-z]{2,8}|#\d{1,6}|#x[0-9A-Fa-f]{1,6});")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\u00a0\u3000]{2,}|\t")
_STUTTER = re.compile(r"\b(\w+)(?:\W+\1\b){3,}", re.IGNORECASE)
_PLACEHOLDERS = frozenset(
    (
        *("n/a", "na", "none", "null", "nan", "todo", "tbd", "caption", "no caption", "test"),
        *("untitled", "unknown", "description", "image", "photo", "picture", "-", ".", "?", "..."),
    )
)
# What UTF-8 looks like when it was decoded as Windows-1252 or Latin-1.
_MOJIBAKE = re.compile(r"[ÂÃ][\u0080-\u00bf]|â€[\u0080-\uffff]|â\u0080[\u0080-\u00bf]|Ã[ƒ‚]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_INVISIBLE = frozenset("\u200b\u200e\u200f\u2028\u2029\u202a\u202c\u2060\ufeff\u00ad")


def check_caption(text: str) -> Iterator[tuple[str, str]]:
    """Yield `(code, message)` for each fault of one caption."""
    stripped = text.strip()
    if not stripped:
        yield "caption_empty", "empty caption"
        return
    count = len(words(stripped))
    if count > LONG_WORDS or len(stripped) > LONG_CHARACTERS:
        yield "caption_very_long", f"{count} words, {len(stripped)} characters"
    if _is_placeholder(stripped):
        yield "caption_placeholder", f"{stripped[:60]!r} describes nothing"
    elif count == 1:
        yield "caption_very_short", f"one word: {stripped[:60]!r}"
    if _MOJIBAKE.search(text):
        yield "caption_mojibake", f"{text[:60]!r} was decoded with the wrong encoding"
    if "\ufffd" in text:
        yield "caption_replacement", f"{text[:60]!r} lost characters (U+FFFD)"
    control = next(filter(_is_control, text), None)
    if control is not None:
        yield "caption_control", f"character U+{ord(control):04X}"
    if text != stripped or _SPACES.search(stripped):
        yield "caption_whitespace", f"stray white space in {text[:60]!r}"
    if _MARKUP.search(text):
        yield "caption_markup", f"markup in {text[:60]!r}"
    if _URL.search(text):
        yield "caption_url", f"web address in {text[:60]!r}"
    if _STUTTER.search(text):
        yield "caption_stutter", f"{text[:60]!r} repeats a word"


def check_captions(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Yield the faults of each caption, and of captions in relation to the others."""
    images: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        seen: set[str] = set()
        for index, text in enumerate(entry.captions):
            for code, message in check_caption(text):
                yield _problem(code, message, entry, index)
            key = " ".join(words(text))
            if key and key in seen:
                yield _problem("caption_duplicate", f"repeats {text[:60]!r}", entry, index)
            elif key:
                seen.add(key)
                images[key].add(entry.image_id)
    yield from _repeated(entries, images)
    yield from _foreign(entries)
    yield from _few(entries)


def clean_caption(text: str) -> str:
    """Return a caption without mojibake, markup, invisible characters or stray spaces."""
    if _MOJIBAKE.search(text):
        text = _BEYOND_ASCII.sub(_decode_again, text)
    text = html.unescape(_MARKUP.sub(lambda m: m[0] if m[0].startswith("&") else " ", text))
    text = "".join(" " if c in "\n\r\t\f\v\u2028\u2029" else c for c in text)
    text = "".join(c for c in text if not _is_control(c))
    return " ".join(text.split())


def _decode_again(run: re.Match[str]) -> str:
    """Undo the wrong decoding of a run of characters beyond ASCII, or return it unchanged."""
    data = b"".join(_undo(character) for character in run[0])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return run[0]


def _undo(character: str) -> bytes:
    for encoding in ("cp1252", "latin-1"):  # cp1252 leaves five bytes undefined
        try:
            return character.encode(encoding)
        except UnicodeEncodeError:
            continue
    return character.encode("utf-8", errors="replace")


def _repeated(entries: Sequence[Entry], images: dict[str, set[str]]) -> Iterator[Problem]:
    """Yield captions that many images share, once each, at the first image."""
    limit = max(REPEATED_IMAGES, len(entries) // 500)
    repeated = {key for key, ids in images.items() if len(ids) >= limit}
    for entry in entries:
        for index, text in enumerate(entry.captions):
            key = " ".join(words(text))
            if key in repeated:
                repeated.discard(key)
                message = f"{text[:60]!r} is a caption of {len(images[key])} images"
                yield _problem("caption_repeated", message, entry, index)


def _foreign(entries: Sequence[Entry]) -> Iterator[Problem]:
    languages = [(e, i, language(text)) for e in entries for i, text in enumerate(e.captions)]
    counts = Counter(name for _, _, name in languages if name != "unknown")
    if not counts:
        return
    main, count = counts.most_common(1)[0]
    if count < 0.8 * counts.total():
        return  # a data set in several languages is not a fault
    for entry, index, name in languages:
        if name not in (main, "unknown"):
            message = f"{name} among {main}: {entry.captions[index][:60]!r}"
            yield _problem("caption_language", message, entry, index)


def _few(entries: Sequence[Entry]) -> Iterator[Problem]:
    counts = Counter(len(entry.captions) for entry in entries)
    if not counts:
        return
    usual, images = counts.most_common(1)[0]
    if images < 0.8 * len(entries):
        return
    for entry in entries:
        if len(entry.captions) < usual:
            message = f"{len(entry.captions)} captions instead of {usual}"
            yield _problem("captions_few", message, entry, None)


def _problem(code: str, message: str, entry: Entry, index: int | None) -> Problem:
    return entry.problem(code, f"{entry.image_id}: {message}", index)


def _is_placeholder(text: str) -> bool:
    lowered = text.lower()
    return lowered in _PLACEHOLDERS or (" " not in lowered and lowered.endswith(IMAGE_SUFFIXES))


def _is_control(character: str) -> bool:
    control = unicodedata.category(character) == "Cc" and character != "\t"
    return control or character in _INVISIBLE
