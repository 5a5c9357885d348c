"""The cells of delimited text (CSV and TSV), where quotes may lack a partner.

Python's reader joins lines for as long as a quote is open, and so one stray quote would swallow
the rows up to the next one. Here a record ends where a line begins the next row. What cannot be
read with quotes is read without them where the delimiter is a tab or a bar, which captions
hardly ever hold.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator

from capgen.file_types import has_image_suffix

# The line that a record begins on, and its cells or why it has none.
Cells = Iterator[tuple[int, list[str] | str]]

_DELIMITERS = ",\t;|"
_WRITTEN_WITHOUT_QUOTING = "\t|"
_QUOTED = re.compile(r'"[^"]*"')
_OPEN_QUOTE = "a quote is opened but not closed"


def find_delimiter(head: str) -> str:
    """Return what separates the cells of a table, by its first line.

    After the name of an image it is whatever comes next; captions hold commas.
    """
    first_cells = {
        delimiter: head.partition(delimiter)[0] for delimiter in _DELIMITERS if delimiter in head
    }
    named = [delimiter for delimiter, cell in first_cells.items() if _names_image(cell)]
    if named:
        return min(named, key=lambda delimiter: len(first_cells[delimiter]))
    return max(_DELIMITERS, key=_QUOTED.sub("", head).count)


def read_cells(lines: Iterable[str], delimiter: str, *, strict: bool) -> Cells:
    """Yield the records that have text in any cell.

    Args:
        lines: Lines with their endings.
        delimiter: What separates cells.
        strict: Whether quotes in the wrong place are faults; otherwise they are text.
    """
    feed = _Feed(lines, delimiter)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        line = feed.begin()
        cells: list[str] | str
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells = _misquoted(feed, delimiter, error, strict=strict)
        if isinstance(cells, str) or any(cell.strip() for cell in cells):
            yield line, cells


def _misquoted(feed: _Feed, delimiter: str, error: csv.Error, *, strict: bool) -> list[str] | str:
    """Return the cells of a record whose quotes are not in order, or what is wrong with it."""
    unquoted = delimiter in _WRITTEN_WITHOUT_QUOTING
    if strict or unquoted or feed.next_row_seen:
        reason = _OPEN_QUOTE if feed.next_row_seen or feed.ended else str(error)
        feed.keep_first_line()
        if unquoted:
            return feed.taken[0].rstrip("\r\n").split(delimiter)
        if strict:
            return reason
    try:
        return next(csv.reader(feed.taken, delimiter=delimiter), [])
    except csv.Error as again:
        return str(again)


class _Feed:
    """Gives a reader the lines of one record after the other.

    Args:
        lines: Lines with their endings.
        delimiter: What separates cells.

    Attributes:
        taken: The lines of the present record.
        next_row_seen: Whether it was cut off because the next row begins.
        ended: Whether it was cut off because there are no more lines.
    """

    def __init__(self, lines: Iterable[str], delimiter: str) -> None:
        self._lines = iter(lines)
        self._delimiter = delimiter
        self._ahead: deque[str] = deque()
        self._number = 0
        self.taken: list[str] = []
        self.next_row_seen = self.ended = False

    def begin(self) -> int:
        """Begin a record; return the number of its first line."""
        self._number += len(self.taken)
        self.taken = []
        self.next_row_seen = self.ended = False
        return self._number + 1

    def keep_first_line(self) -> None:
        """Take back all but the first line of the record."""
        self._ahead.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._ahead.popleft() if self._ahead else next(self._lines)
        except StopIteration:
            self.ended = True
            raise
        if self.taken and self._begins_row(line):
            self._ahead.appendleft(line)
            self.next_row_seen = True
            raise StopIteration
        self.taken.append(line)
        return line

    def _begins_row(self, line: str) -> bool:
        """Whether a line names an image in the cell in which the record's first line does."""
        cells = line.split(self._delimiter)
        first = self.taken[0].split(self._delimiter)
        return any(
            _names_image(cell) and _names_image(other)
            for cell, other in zip(cells, first, strict=False)
        )


def _names_image(cell: str) -> bool:
    return has_image_suffix(cell.strip().strip('"').strip())
