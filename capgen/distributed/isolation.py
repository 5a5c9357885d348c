"""Captions a part whose workers crash in small pieces, to find the images that crash them."""

from __future__ import annotations

from dataclasses import replace

from capgen.distributed.plan import ImageUnit
from capgen.distributed.tasks import Piece, PieceMade, Task
from capgen.records import Record

_PIECE = 32
# A single image may be captioned when a worker dies for a reason of its own.
_CRASHES_OF_ONE = 2


class Isolation:
    """Walks through a part piece by piece; a piece that crashes its worker is halved.

    What was captioned is kept, so a part that takes longer than workers live is done at last.

    Args:
        task: The part.

    Attributes:
        records: Positions and records so far.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self.records: list[tuple[int, Record]] = []
        self._size = _PIECE
        self._crashes = 0
        self._next: Piece | None = self._units(0)

    @property
    def task(self) -> Task | None:
        """The next piece, or None at the end of the part."""
        return None if self._next is None else self._task.cut(self._next)

    def passed(self, made: PieceMade) -> None:
        """Take the records of the piece."""
        piece = self._next
        assert piece is not None
        self.records += made.records
        self._size, self._crashes = _PIECE, 0
        if piece.images is None or len(made.records) < piece.images or self._is_image(piece):
            self._next = self._units(piece.stop)
        else:  # further into the archive
            first = piece.first + piece.images
            self._next = replace(piece, first=first, images=self._size, given_up=False)

    def crashed(self) -> None:
        """Make the piece smaller, or give its only image up."""
        piece = self._next
        assert piece is not None
        self._size = max(1, self._size // 2)
        if piece.stop - piece.start > 1:
            self._next = self._units(piece.start)
        elif piece.given_up:
            # The archive itself crashes who reads it: its record stands for the rest.
            self._next = replace(piece, images=None)
        elif piece.images is None and not self._is_image(piece):
            self._size = _PIECE
            self._next = replace(piece, images=self._size)
        elif piece.images is not None and piece.images > 1:
            self._next = replace(piece, images=self._size)
        else:
            self._crashes += 1
            given_up = self._crashes >= _CRASHES_OF_ONE
            self._next = replace(piece, images=1, given_up=given_up)

    def _units(self, start: int) -> Piece | None:
        units = len(self._task.part.units)
        if start >= units:
            return None
        return Piece(start=start, stop=min(units, start + self._size))

    def _is_image(self, piece: Piece) -> bool:
        return isinstance(self._task.part.units[piece.start], ImageUnit)
