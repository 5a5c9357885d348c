"""What a schedule and its workers tell each other, whatever engine runs the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from capgen.captioning.batch.pipeline import BatchFinished
from capgen.distributed.plan import Part
from capgen.distributed.vouchers import PartDone
from capgen.records import CaptionFailure, Record


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some images of a part.

    Attributes:
        start: Its first unit in the part.
        stop: The unit after its last.
        first: The first image, counted in its units.
        images: Images; None is all.
        given_up: The images are not read: their records say that they crash.
    """

    start: int
    stop: int
    first: int = 0
    images: int | None = None
    given_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """A part to caption.

    Attributes:
        part: The part, or the units of the piece.
        earlier: Records that it had before, as JSON Lines.
        piece: The piece, if only that is wanted.
    """

    part: Part
    earlier: bytes | None = None
    piece: Piece | None = None

    def cut(self, piece: Piece) -> Task:
        """Return the task for a piece of the part."""
        units = slice(piece.start, piece.stop)
        part = replace(
            self.part, units=self.part.units[units], positions=self.part.positions[units]
        )
        return replace(self, part=part, piece=piece)


@dataclass(frozen=True, kw_only=True)
class PartMade:
    """A part that a worker captioned.

    Attributes:
        finished: Its counts.
        done: What is in it, without name and hashes; None if the run stopped at a failure.
        data: Its file.
        failures: The first ones.
    """

    finished: BatchFinished
    done: PartDone | None
    data: bytes
    failures: tuple[CaptionFailure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PieceMade:
    """A piece that a worker captioned.

    Attributes:
        finished: Its counts.
        records: The position of each image's unit in the whole list, and its record.
    """

    finished: BatchFinished
    records: tuple[tuple[int, Record], ...]

    @property
    def failures(self) -> tuple[CaptionFailure, ...]:
        return tuple(item for _, item in self.records if isinstance(item, CaptionFailure))


@dataclass(frozen=True, kw_only=True)
class WorkerReady:
    """A worker has loaded its model.

    Attributes:
        worker: Which.
        work: Hash of its model and settings; see `record_work`.
        notes: Notes on the settings.
    """

    worker: str
    work: bytes
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskDone:
    """A worker has done its task."""

    worker: str
    made: PartMade | PieceMade


@dataclass(frozen=True, kw_only=True)
class TaskFailed:
    """A worker met an error that others would meet, too: it ends the run."""

    worker: str
    error: Exception


@dataclass(frozen=True, kw_only=True)
class WorkerLost:
    """A worker is gone.

    Attributes:
        worker: Which.
        reason: Why, in a few words.
        crashed: Whether it was its process alone, so that its task may be the reason.
    """

    worker: str
    reason: str
    crashed: bool


Report = WorkerReady | TaskDone | TaskFailed | WorkerLost


class Pool(Protocol):
    """Workers, which load a model and then do one task at a time."""

    def add(self) -> str:
        """Start a worker and return its name; it reports when it is ready, or lost."""
        ...

    def room(self) -> int:
        """Return how many more workers there is room for now."""
        ...

    def start(self, worker: str, task: Task) -> None:
        """Give a task to a worker that has none."""
        ...

    def remove(self, worker: str) -> None:
        """End a worker; it reports nothing more."""
        ...

    def wait(self, seconds: float | None) -> Sequence[Report]:
        """Wait for reports; return none when the time is over."""
        ...
