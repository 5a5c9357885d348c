"""Captions without images, which teach the decoder what people say.

A file is JSON Lines, CSV or TSV with captions in the columns that data sets have them in, or text
with one caption per line. Captions that a validation or test image has too are left out: the scores
would know them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.config import TrainConfig
from capgen.data.mixture import Mixture
from capgen.data.problems import Problem
from capgen.data.text_files import read_lines, read_text
from capgen.errors import DataError
from capgen.metrics.ptb.tokenizer import tokenize
from capgen.records import Notice
from capgen.tables.columns import CAPTION_NAMES, Columns, caption_columns
from capgen.tables.rows import is_table, read_table

_TEXT = (".txt", "")


@dataclass(frozen=True)
class TextCaptions:
    """Captions without images.

    Attributes:
        captions: The captions, each once.
        digest: SHA-256 of the captions.
        held_out: How many were left out because a validation or test image has them.
        unread: How many rows have no captions.
    """

    captions: tuple[str, ...] = ()
    digest: str = ""
    held_out: int = 0
    unread: int = 0

    @property
    def record(self) -> dict[str, Any]:
        """What identifies them, for records; empty without captions."""
        if not self.captions:
            return {}
        return {"text": {"captions": len(self.captions), "digest": f"sha256:{self.digest}"}}

    @property
    def notices(self) -> Iterator[Notice]:
        """What a user should know about them."""
        if self.held_out:
            yield Notice(
                message=f"Left out {self.held_out:,} captions of the text data: validation or test "
                "images have the same"
            )
        if self.unread:
            yield Notice(message=f"{self.unread:,} rows of the text data have no captions")


def read_text_captions(files: Sequence[Path], held_out: Iterable[str]) -> TextCaptions:
    """Read captions from files.

    Args:
        files: The files.
        held_out: The captions of validation and test images.

    Raises:
        DataError: A file cannot be read, is not UTF-8, or has no captions.
    """
    unread = 0
    found: dict[str, None] = {}
    for file in files:
        captions, faulty = _captions_of(file)
        if not captions:
            raise DataError(f"{file} has no captions", hint=_HINT)
        found |= dict.fromkeys(captions)
        unread += faulty
    known = {tokenize(text) for text in held_out}
    kept = tuple(text for text in found if tokenize(text) not in known)
    digest = hashlib.sha256("\n".join(kept).encode("utf-8", "surrogatepass")).hexdigest()
    return TextCaptions(kept, digest, len(found) - len(kept), unread)


def text_captions(config: TrainConfig, dataset: Mixture) -> TextCaptions:
    """Read a run's captions without images, apart from those that images to be measured have.

    Raises:
        DataError: As `read_text_captions`.
    """
    if not config.text_files:
        return TextCaptions()
    measured = (
        text
        for split in ("val", "test")
        if split in dataset.counts
        for examples in dataset.parts(split).values()
        for example in examples
        for text in example.references
    )
    return read_text_captions(config.text_files, measured)


_HINT = (
    "Text data are a .txt file with one caption per line, or JSON Lines, CSV or TSV with a column "
    f"such as {CAPTION_NAMES[0]} or {CAPTION_NAMES[1]}."
)


def _captions_of(file: Path) -> tuple[list[str], int]:
    """Return a file's captions, and how many of its rows have none."""
    if file.suffix.lower() in _TEXT:
        return [line.strip() for _, line in read_lines(file, _refuse)], 0
    if not is_table(file):
        raise DataError(f"{file} is no text data that capgen can read", hint=_HINT)
    table = read_table(file, io.StringIO(read_text(file, _refuse), newline=""))
    columns = Columns(image="", captions=caption_columns(table.names), split=None)
    if not columns.captions:
        raise DataError(f"{file} has no column of captions", hint=_HINT)
    captions, faulty = list[str](), 0
    for row in table.rows:
        texts = None if row.fault else columns.texts(row)
        given = [text.strip() for text in texts or () if text.strip()]
        captions += given
        faulty += not given
    return captions, faulty


def _refuse(problem: Problem) -> None:
    place = "" if problem.line is None else f":{problem.line}"
    raise DataError(f"{problem.file}{place}: {problem.message}", hint="Save the file as UTF-8.")
