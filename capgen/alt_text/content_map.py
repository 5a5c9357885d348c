"""Where the characters of a Markdown block's content are in the page.

A block's content is the page's lines without what marks containers (`> `, indentation, `- `), or a
cell of a table, which is a part of a line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

_LINE_END = re.compile(r"\r\n|\r|\n")


class PageLines:
    """The lines of a page, as Markdown counts them."""

    def __init__(self, page: str) -> None:
        self._page = page.replace("\0", "\ufffd")  # as markdown-it has it in contents
        breaks = [*_LINE_END.finditer(page)]
        self.starts = [0, *(each.end() for each in breaks)]
        self._ends = [*(each.start() for each in breaks), len(page)]
        # How far each line has been given to contents, which come in the page's order.
        self._given: dict[int, int] = {}

    def start(self, line: int) -> int:
        """Return where a line begins; the end of the page after the last."""
        return self.starts[line] if line < len(self.starts) else len(self._page)

    def position(self, place: int) -> tuple[int, int]:
        """Return the line and the column of a character, both from 1."""
        line = bisect_right(self.starts, place)
        return line, place - self.starts[line - 1] + 1

    def locate(self, content: str, lines: Sequence[int]) -> ContentMap:
        """Return where the content of a block is that covers lines [first, last)."""
        found, offset = [], 0
        texts = content.split("\n")
        for number, text in enumerate(texts, start=self._first(texts[0].strip(), lines)):
            bare = text.strip()
            if bare and number < min(lines[1], len(self.starts)):
                begin = self._given.get(number, self.starts[number])
                place = self._page.find(bare, begin, self._ends[number])
                if place >= 0:
                    before = len(text) - len(text.lstrip())
                    found.append((offset + before, place, len(bare)))
                    self._given[number] = place + len(bare)
            offset += len(text) + 1
        return ContentMap(self.start(lines[0]), found)

    def _first(self, bare: str, lines: Sequence[int]) -> int:
        """Return the line that a content begins in; it has no lines of form feeds alone."""
        for number in range(lines[0], min(lines[1], len(self.starts))):
            begin = self._given.get(number, self.starts[number])
            if self._page.find(bare, begin, self._ends[number]) >= 0:
                return number
        return lines[0]


class ContentMap:
    """Maps offsets in a block's content to offsets in the page, where the block is at `begin`."""

    def __init__(self, begin: int, pieces: list[tuple[int, int, int]]) -> None:
        self.begin = begin
        self._pieces = pieces
        self._offsets = [offset for offset, _, _ in pieces]

    def restored(self, content: str, page: str) -> str:
        """Return the block's content with the characters that `page` has there."""
        parts, done = [], 0
        for offset, place, length in self._pieces:
            parts += [content[done:offset], page[place : place + length]]
            done = offset + length
        return "".join([*parts, content[done:]])

    def at(self, offset: int) -> int | None:
        """Return where a character of the content, or the end of a line, is; None if unknown."""
        number = bisect_right(self._offsets, offset) - 1
        if number < 0:
            return None
        begin, place, length = self._pieces[number]
        return place + offset - begin if offset <= begin + length else None
