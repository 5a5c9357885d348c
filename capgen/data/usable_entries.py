"""What can be used of a reading: images that exist and have captions."""

from __future__ import annotations

from pathlib import Path

from capgen.data.formats.reading import Entry, Reading
from capgen.data.problems import Problem
from capgen.errors import DataError

OUTSIDE_HINT = "Name the images' folder with --images."
_LONGEST_NAME = 300  # characters of a name in messages


def usable_entries(reading: Reading, problems: list[Problem], root: Path) -> list[Entry]:
    """Return the images that exist and have captions, and append the others to `problems`.

    Raises:
        DataError: There are none.
    """
    usable = [entry for entry in reading.entries if _usable(entry, problems)]
    problems += [
        Problem(code="image_without_captions", message="has no caption", file=stray)
        for stray in reading.strays
    ]
    if not usable:
        first = f"; first: {problems[0]}" if problems else ""
        outside = any(problem.code == "image_outside" for problem in problems)
        hint = OUTSIDE_HINT if outside else ""
        raise DataError(f"{root} has no image with a caption{first}", hint=hint)
    return usable


def _usable(entry: Entry, problems: list[Problem]) -> bool:
    if ".." in entry.image.parts:
        message = f"{entry.image} is outside the data folder"
        problems.append(entry.problem("image_outside", message))
        return False
    if not entry.has_image:
        name = str(entry.image)
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        problems.append(entry.problem("image_missing", f"image {shown} is missing"))
        return False
    for index, text in enumerate(entry.captions):
        if not text.strip():
            message = f"empty caption of {entry.image_id}"
            problems.append(entry.problem("caption_empty", message, index))
    return any(text.strip() for text in entry.captions)
