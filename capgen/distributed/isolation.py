"""Captions a part whose workers crash in small pieces, to find the images that crash them."""

from __future__ import annotations

from dataclasses import replace

from capgen.distributed.plan import ImageUnit
from capgen.distributed.tasks import Piece, PieceMade, Task
from capgen.errors import CapgenError
from capgen.records import Record

_PIECE = 32
# A single image may be captioned when a worker dies for a reason of its own.
_CRASHES_OF_ONE = 2


class Isolation:
    """Walks through a part piece by piece, and searches a piece that crashes its worker by halves.

    What was captioned is kept, so a part that takes longer than workers live is done at last.

    Args:
        task: The part.

    Attributes:
        records: Positions and records so far.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self.records: list[tuple[int, Record]] = []
        # End of what crashed, in units or in images of an archive: a killer is before it.
        self._suspect = 0
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
        self._crashes = 0
        if piece.given_up:
            self._suspect = 0
        if piece.images is None or len(made.records) < piece.images or self._is_image(piece):
            if piece.images is not None and not self._is_image(piece):
                self._suspect = 0  # which counted images
            self._next = self._units(piece.stop)
        else:  # further into the archive
            first = piece.first + piece.images
            self._next = replace(piece, first=first, images=self._size(first), given_up=False)

    def crashed(self) -> None:
        """Make the piece smaller, or give its only image up.

        Raises:
            CapgenError: Workers die where there is nothing to caption.
        """
        piece = self._next
        assert piece is not None
        if piece.given_up and piece.images is None:
            raise CapgenError(
                "Workers die even where there is nothing to caption",
                hint="Their logs say more: docs/scale.md, Ray.",
            )
        if piece.stop - piece.start > 1:
            self._suspect = piece.stop
            self._next = self._units(piece.start)
        elif piece.given_up:
            # The archive itself crashes who reads it: its record stands for the rest.
            self._next = replace(piece, images=None)
        elif piece.images is None and not self._is_image(piece):
            self._suspect = 0
            self._next = replace(piece, images=_PIECE)
        elif piece.images is not None and piece.images > 1:
            self._suspect = piece.first + piece.images
            self._next = replace(piece, images=self._size(piece.first))
        else:
            self._crashes += 1
            given_up = self._crashes >= _CRASHES_OF_ONE
            self._next = replace(piece, images=1, given_up=given_up)

    def _size(self, start: int) -> int:
        """Return the size of a piece that begins there: half of what is suspected, or as usual."""
        suspected = self._suspect - start
        return max(1, suspected // 2) if suspected > 0 else _PIECE

    def _units(self, start: int) -> Piece | None:
        units = len(self._task.part.units)
        if start >= units:
            return None
        return Piece(start=start, stop=min(units, start + self._size(start)))

    def _is_image(self, piece: Piece) -> bool:
        return isinstance(self._task.part.units[piece.start], ImageUnit)
