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
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from capgen.config import TrainConfig
from capgen.data.mixture import Mixture
from capgen.data.problems import Problem
from capgen.data.text_files import lines_of, read_text
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
        broken: What is wrong with the rows that cannot be read.
    """

    captions: tuple[str, ...] = ()
    digest: str = ""
    held_out: int = 0
    unread: int = 0
    broken: tuple[str, ...] = ()

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
        if self.broken:
            yield Notice(
                message=f"{len(self.broken):,} rows of the text data cannot be read and were left "
                f"out; first: {self.broken[0]}"
            )


def read_text_captions(files: Sequence[Path], held_out: Iterable[str]) -> TextCaptions:
    """Read captions from files.

    Args:
        files: The files.
        held_out: The captions of validation and test images.

    Raises:
        DataError: A file cannot be read, is not UTF-8, or has no captions.
    """
    unread, broken = 0, list[str]()
    found: dict[str, None] = {}
    for file in files:
        read = _captions_of(file)
        if not read.captions:
            why = f": {read.broken[0]}" if read.broken else ""
            raise DataError(f"{file} has no captions{why}", hint=_HINT)
        found |= dict.fromkeys(read.captions)
        unread += read.unread
        broken += read.broken
    known = {tokenize(text) for text in held_out}
    kept = tuple(text for text in found if tokenize(text) not in known)
    digest = hashlib.sha256("\n".join(kept).encode("utf-8", "surrogatepass")).hexdigest()
    return TextCaptions(kept, digest, len(found) - len(kept), unread, tuple(broken))


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


class _Read(NamedTuple):
    """A file's captions, how many rows have none, and what is wrong with the others."""

    captions: list[str]
    unread: int = 0
    broken: tuple[str, ...] = ()


def _captions_of(file: Path) -> _Read:
    if file.suffix.lower() in _TEXT:
        return _Read([line.strip() for _, line in lines_of(_text(file))])
    if not is_table(file):
        raise DataError(f"{file} is no text data that capgen can read", hint=_HINT)
    table = read_table(file, io.StringIO(_text(file), newline=""))
    columns = Columns(image="", captions=caption_columns(table.names), split=None)
    rows = list(table.rows)
    broken = tuple(f"{file}:{row.line}: {row.fault}" for row in rows if row.fault)
    if not columns.captions:
        why = f": {broken[0]}" if broken else ""
        raise DataError(f"{file} has no column of captions{why}", hint=_HINT)
    given = [_given(columns.texts(row)) for row in rows if not row.fault]
    return _Read(list(chain.from_iterable(given)), given.count([]), broken)


def _given(texts: list[str] | None) -> list[str]:
    return [text.strip() for text in texts or () if text.strip()]


def _text(file: Path) -> str:
    """Return the text of a file; bytes of 0 are those of a binary file, or of UTF-16."""
    text = read_text(file, _refuse)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        _refuse(Problem(code="wrong_encoding", message=_NOT_TEXT, file=file, line=line))
    return text


_NOT_TEXT = "a byte of 0, which no text has: it is UTF-16, or no text"


def _refuse(problem: Problem) -> None:
    place = "" if problem.line is None else f":{problem.line}"
    raise DataError(f"{problem.file}{place}: {problem.message}", hint="Save the file as UTF-8.")
