"""Reads rows with an image and its captions into a `Collector`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from capgen.addresses import is_url
from capgen.data.formats.conversations import answers, is_conversation
from capgen.data.formats.embedded_images import EmbeddedImages, holds_image
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, ReadOptions
from capgen.data.formats.rows import ID_NAMES, find_columns, name_in, other_captions, prescribe
from capgen.data.problems import Problem, Report
from capgen.data.splits import split_name
from capgen.errors import DataError
from capgen.tables.columns import Columns
from capgen.tables.rows import Row


@dataclass(frozen=True, kw_only=True)
class RowSource:
    """Rows of one file.

    Attributes:
        file: The file.
        rows: Its rows, read lazily.
        unit: What a row's number counts: lines of the file, or `item` and the like.
        split: The split of rows that name none.
        name: What names of images in cells begin with where they have none.
        prefix: The folder, ending with a slash, that the images' names are relative to.
        image_column: The column that the layout prescribes, if rows have it.
        looked_at: How many rows, all in memory, show which column holds the images.
    """

    file: Path
    rows: Iterator[Row]
    unit: str = "line"
    split: str | None = None
    name: str = ""
    prefix: str = ""
    image_column: str = ""
    looked_at: int = 100

    def line(self, row: Row) -> int | None:
        """Return a row's line in the file, if it has one."""
        return row.line if self.unit == "line" else None

    def where(self, row: Row) -> str:
        """Return what messages call a row."""
        if self.unit == "line":
            return f"{self.file}:{row.line}"
        return f"{self.file}: {self.unit} {row.line}"

    def problem(self, row: Row, code: str, message: str) -> Problem:
        """Return a problem of a row."""
        if self.unit != "line":
            message = f"{self.unit} {row.line}: {message}"
        return Problem(code=code, message=message, file=self.file, line=self.line(row))


@dataclass(frozen=True, kw_only=True)
class RowReader:
    """Reads rows.

    Attributes:
        images: The images that rows may name.
        options: What the caller knows.
        collector: Receives captions and splits.
        report: Receives problems.
        embedded: Takes the images whose bytes are in cells.
    """

    images: ImageIndex
    options: ReadOptions
    collector: Collector
    report: Report
    embedded: EmbeddedImages | None = None

    def read(self, source: RowSource) -> None:
        """Read the rows of a file; what is wrong with one is reported, and it is left out.

        Raises:
            DataError: It is not clear which columns hold what, or the images are addresses.
        """
        rows = self._sound(source)
        ahead = list(islice(rows, source.looked_at))
        if not ahead:
            return
        options = prescribe(self.options, source.image_column, ahead[0].cells)
        columns = find_columns(
            source.where(ahead[0]), [row.cells for row in ahead], options, self.images
        )
        self._tell_other_captions(ahead[0], columns, source)
        for row in chain(_emptying(ahead), rows):
            self._read_row(row, columns, source)

    def _tell_other_captions(self, row: Row, columns: Columns, source: RowSource) -> None:
        others = [] if self.options.caption_column else other_captions(row.cells, columns)
        if others:
            message = (
                f"only {columns.captions[0]!r} is read; --caption-column {others[0]} reads "
                f"{others[0]!r} instead"
            )
            self.report(Problem(code="captions_unread", message=message, file=source.file))

    def _sound(self, source: RowSource) -> Iterator[Row]:
        for row in source.rows:
            if row.fault:
                self.report(source.problem(row, "malformed_line", row.fault))
            else:
                if row.mended:
                    self.report(source.problem(row, "row_mended", row.mended))
                yield row

    def _read_row(self, row: Row, columns: Columns, source: RowSource) -> None:
        texts = _texts(row, columns)
        found = self._image(row, columns, source) if texts is not None else None
        if texts is None or found is None:
            message = f"no image in {columns.image!r} or no text in {columns.captions[0]!r}"
            self.report(source.problem(row, "malformed_line", message))
            return
        image_id, image = found
        name = name_in(row.cells.get(columns.image)) or ""
        several = self.images.several(source.prefix + name) if name else []
        if several:
            places = ", ".join(
                path.relative_to(self.images.root).as_posix() for path in several[:3]
            )
            message = f"{image_id} is the name of several images ({places}): name its folder, too"
            self.report(source.problem(row, "image_missing", message))
            return
        talk = row.cells.get(columns.captions[0])
        if is_conversation(talk) and len(texts) > 1:
            message = "a conversation with several answers is not a caption"
            self.report(source.problem(row, "captions_unread", message))
            return
        line = source.line(row)
        for text in texts:
            self.collector.caption(image_id, image, text, source.file, line)
        split = self._split(row, columns) or source.split or _split_of_folder(row, columns)
        if split:
            self.collector.split(image_id, split, source.file, line)

    def _image(self, row: Row, columns: Columns, source: RowSource) -> tuple[str, Path] | None:
        """Return an image's id and place, or None if the row has none."""
        cell = row.cells.get(columns.image)
        if self.embedded is not None and holds_image(cell):
            return self.embedded.add(cell, f"{source.name or source.split or 'row'}-{row.line:08d}")
        name = name_in(cell)
        if name is None or not (isinstance(cell, str) or self._may_be_id(name, columns.image)):
            return None
        if is_url(name):
            self._check_address(name, row, source)
        image = self.images.find(source.prefix + name)
        return self.images.image_id(image), image

    def _may_be_id(self, name: str, column: str) -> bool:
        """Whether a number may be the name of an image."""
        return column.lower() in ID_NAMES or self.images.known(name) is not None

    def _check_address(self, name: str, row: Row, source: RowSource) -> None:
        if self.images.known(name) is None and not self.images.paths:
            raise DataError(
                f"{source.where(row)}: the images are addresses ({name[:100]}),"
                f" and {self.images.root} has no images",
                hint="Download them first: img2dataset, for example, writes tar shards, which"
                " capgen reads. If you have them, name their folder with --images.",
            )

    def _split(self, row: Row, columns: Columns) -> str | None:
        cell = row.cells.get(columns.split) if columns.split else None
        return None if cell is None else str(cell)


def _emptying(rows: list[Row]) -> Iterator[Row]:
    """Yield rows and let go of them: they may hold images."""
    rows.reverse()
    while rows:
        yield rows.pop()


def _texts(row: Row, columns: Columns) -> list[str] | None:
    """Return a row's captions, or None if they are not text."""
    talk = row.cells.get(columns.captions[0])
    return answers(talk) or None if is_conversation(talk) else columns.texts(row)


def _split_of_folder(row: Row, columns: Columns) -> str | None:
    """Return the split that the first folder of an image's name stands for."""
    name = name_in(row.cells.get(columns.image)) or ""
    first, slash, _ = name.replace("\\", "/").partition("/")
    return split_name(first) if slash and first else None
