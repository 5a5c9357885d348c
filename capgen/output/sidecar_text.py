"""The content of text sidecars: captions, alone or added to text that keeps its bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from capgen.output.tags import joined_tags
from capgen.text_encoding import encoding_of

_LINE_END = re.compile(r"\r\n|\n|\r")


class UnreadableTextError(Exception):
    """A sidecar's text cannot be added to; the message ends a sentence that names the file."""


def text_sidecar(
    captions: Sequence[str],
    before: bytes = b"",
    policy: str = "overwrite",
    separator: str = ", ",
    tags: Sequence[str] = (),
) -> bytes:
    """Return the bytes of a sidecar.

    Args:
        captions: The captions of one image: one per line in a new file, otherwise with the
            separator between them, too.
        before: The old content, which keeps its encoding, byte order mark and line ends.
        policy: `overwrite`, `append` or `prepend`. Captions that are already at that end are
            not added again.
        separator: Goes between the old text and the captions. Its line breaks become the file's.
        tags: Follow each caption on its line, with commas: trainers of image generators make the
            same line of a caption and tags (`FineTuningDataset` of kohya-ss/sd-scripts).

    Raises:
        UnreadableTextError: The old encoding is unknown, or cannot hold the caption.
    """
    added = [_line(joined_tags((caption, *tags))) for caption in captions]
    lines = "".join(f"{line}\n" for line in added)
    if policy == "overwrite" or not before:
        return encoded(lines, "utf-8")
    mark, encoding = _encoding(before)
    text = before[len(mark) :].decode(encoding)
    body = text.rstrip("\r\n")
    line_end = "\r\n" if "\r\n" in text else "\n"
    between = separator.replace("\n", line_end)
    new = between.join(added)
    if not body:
        return mark + encoded(new + (text or line_end), encoding)
    tail = text[len(body) :] or (line_end if "\n" in separator else "")
    if _LINE_END.split(body) == added:  # a new file of a former run
        return before
    if policy == "append":
        if body == new or body.endswith(between + new):
            return before
        kept = before[: len(mark) + len(encoded(body, encoding))]
        return kept + encoded(between + new + tail, encoding)
    if body == new or body.startswith(new + between):
        return before
    missing = tail if not text[len(body) :] else ""
    return (
        mark + encoded(new + between, encoding) + before[len(mark) :] + encoded(missing, encoding)
    )


def has_caption(data: bytes, caption: str) -> bool:
    """Whether a new file of `text_sidecar` has a caption, with whatever tags."""
    line = _line(caption)
    lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n")
    return any(each == line or each.startswith(joined_tags((line, ""))) for each in lines)


def _line(text: str) -> str:
    """Return a text as one line: trainers read the first line only."""
    return " ".join(filter(None, _LINE_END.split(text)))


def encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        letter = error.object[error.start]
        raise UnreadableTextError(
            f"the caption is not written: {encoding} cannot hold its {letter!a}"
        ) from error


def _encoding(data: bytes) -> tuple[bytes, str]:
    """Return the byte order mark of a text, and its encoding if that is certain."""
    found = encoding_of(data)
    if found is None:
        raise UnreadableTextError("it is not text in a known encoding: nothing was added to it")
    return found
