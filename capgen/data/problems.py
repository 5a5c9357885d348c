"""What can be wrong with a data set: the table of kinds, and the record of one problem.

Readers report problems as they meet them. Loading a data set stops at the first one that is
an error and leaves out what the others concern; `capgen data doctor` collects them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from capgen.errors import DataError


@dataclass(frozen=True)
class ProblemKind:
    """A kind of problem.

    Attributes:
        title: What is wrong, in a few words.
        stops: Reading for training stops here, because the intention is unclear.
        fix: What `--fix` does: `drop_image`, `drop_caption`, `clean_caption`, `unassign`
            (remove the image from val and test) or nothing (empty).
    """

    title: str
    stops: bool = False
    fix: str = ""


PROBLEMS: dict[str, ProblemKind] = {
    # Files of captions and splits
    "malformed_line": ProblemKind("line that cannot be read", stops=True, fix="drop_caption"),
    "row_mended": ProblemKind("row with a known fault that was put right"),
    "wrong_encoding": ProblemKind("text that is not UTF-8", stops=True, fix="clean_caption"),
    "image_id_repeated": ProblemKind("id that several images have", stops=True, fix="drop_caption"),
    "split_unknown_name": ProblemKind("unknown split name", stops=True, fix="unassign"),
    "split_overlap": ProblemKind("image in more than one split", stops=True, fix="unassign"),
    "split_unknown_image": ProblemKind("split list names an image without captions"),
    "split_empty": ProblemKind("no image in a split"),
    "member_refused": ProblemKind("archive member that is not extracted"),
    # Images
    "image_missing": ProblemKind("missing image, with its captions", fix="drop_image"),
    "image_outside": ProblemKind("image outside the data folder", fix="drop_image"),
    "image_name_case": ProblemKind("image's name differs in letter case", fix="drop_image"),
    "image_not_taken": ProblemKind("image in a format that capgen does not read"),
    "image_without_captions": ProblemKind("image without captions", fix="drop_image"),
    "image_empty": ProblemKind("empty image file", fix="drop_image"),
    "image_not_an_image": ProblemKind("file that is not an image", fix="drop_image"),
    "image_truncated": ProblemKind("truncated image", fix="drop_image"),
    "image_unreadable": ProblemKind("image that cannot be decoded", fix="drop_image"),
    "image_too_large": ProblemKind("image with too many pixels", fix="drop_image"),
    "image_needs_memory": ProblemKind("image that took more memory than was left"),
    "image_too_small": ProblemKind("image smaller than 32 pixels", fix="drop_image"),
    "image_extreme_aspect": ProblemKind("image with an aspect ratio over 5"),
    "image_blank": ProblemKind("image of one colour", fix="drop_image"),
    "image_animated": ProblemKind("image with more than one frame"),
    "image_wrong_extension": ProblemKind("extension that does not match the format"),
    "image_duplicate": ProblemKind("same bytes twice in one split", fix="drop_image"),
    "image_duplicate_across": ProblemKind("same bytes in two splits", fix="unassign"),
    "image_near_duplicate_across": ProblemKind("near-duplicates in two splits", fix="unassign"),
    "images_repeated": ProblemKind("images that come several times in an epoch"),
    # Captions
    "captions_unread": ProblemKind("captions in a file that is not read"),
    "caption_outside": ProblemKind("captions outside the data folder", fix="drop_caption"),
    "caption_rejected": ProblemKind("caption that its source has rejected", fix="drop_caption"),
    "caption_unreviewed": ProblemKind("caption that nobody has reviewed", fix="drop_caption"),
    "caption_unedited": ProblemKind("caption that was accepted unchanged", fix="drop_caption"),
    "caption_empty": ProblemKind("empty caption", fix="drop_caption"),
    "caption_duplicate": ProblemKind("same caption twice on one image", fix="drop_caption"),
    "caption_repeated": ProblemKind("same caption on many images"),
    "caption_very_long": ProblemKind("very long caption", fix="drop_caption"),
    "caption_very_short": ProblemKind("caption of one word"),
    "caption_mojibake": ProblemKind("text decoded with the wrong encoding", fix="clean_caption"),
    "caption_replacement": ProblemKind("replacement characters (U+FFFD)", fix="drop_caption"),
    "caption_control": ProblemKind("control or invisible characters", fix="clean_caption"),
    "caption_whitespace": ProblemKind("stray white space", fix="clean_caption"),
    "caption_markup": ProblemKind("HTML markup or entities", fix="clean_caption"),
    "caption_url": ProblemKind("web address", fix="drop_caption"),
    "caption_placeholder": ProblemKind("placeholder or file name", fix="drop_caption"),
    "caption_stutter": ProblemKind("one word many times in a row", fix="drop_caption"),
    "caption_language": ProblemKind("different language from the rest"),
    "captions_few": ProblemKind("fewer captions than other images have"),
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem.

    Attributes:
        code: Key of `PROBLEMS`.
        message: One line saying what was found, without the file.
        file: File it was found in, if any.
        line: Line of that file, counted from 1, if it has lines.
        image_id: The image, if it concerns one.
        caption: Index of the caption among the image's captions, if it concerns one.
    """

    code: str
    message: str
    file: Path | None = None
    line: int | None = None
    image_id: str | None = None
    caption: int | None = None

    @property
    def kind(self) -> ProblemKind:
        """Its kind."""
        return PROBLEMS[self.code]

    @property
    def where(self) -> str:
        """`FILE:LINE`, as far as known."""
        if self.file is None:
            return self.image_id or ""
        return f"{self.file}:{self.line}" if self.line is not None else str(self.file)

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {"file": None if self.file is None else str(self.file)}


# For images that turn out to be broken after the data set was read.
BROKEN_IMAGE_HINT = "`capgen data doctor PATH --fix` writes a copy without such images."

Report = Callable[[Problem], None]


def stopping(found: list[Problem]) -> Report:
    """Return a `Report` that raises for problems that stop reading and collects the others."""

    def report(problem: Problem) -> None:
        if problem.kind.stops:
            raise DataError(
                str(problem),
                hint="`capgen data doctor PATH` lists every problem; `--fix` writes a clean copy.",
            )
        found.append(problem)

    return report


def refusing(problem: Problem) -> None:
    """Raise DataError for a problem of a file that is no data set: a `Report`."""
    raise DataError(str(problem), hint="Save the file as UTF-8.")
