"""Captions the parts of a list: through one pipeline, each part put into its folder at once."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import Source
from capgen.captioning.captioner import Captioner
from capgen.config import NO_TAGS, TagOptions
from capgen.distributed.plan import Part
from capgen.distributed.vouchers import PartDone
from capgen.output.base import Write
from capgen.output.formats import open_format
from capgen.records import CaptionFailure, Record


@dataclass(frozen=True, kw_only=True)
class PartsRun:
    """How parts are captioned.

    Attributes:
        batch: How images are captioned.
        tags: Which tags tables have.
        shown: Returns what is written instead of a record, such as one with a decision.
    """

    batch: BatchRun = field(default_factory=BatchRun)
    tags: TagOptions = NO_TAGS
    shown: Callable[[Record], Record] | None = None


class PartsPlace(Protocol):
    """Where parts go, such as a `PartsFolder`.

    Attributes:
        format: `jsonl` or `parquet`.
    """

    format: str

    def file_of(self, part: Part) -> str:
        """Return the name of a part's file."""
        ...

    def commit(self, part: Part, file: Path, done: PartDone) -> PartDone:
        """Take a part's file over, which is removed afterwards."""
        ...


def caption_parts(
    captioner: Captioner, parts: Iterable[Part], folder: PartsPlace, run: PartsRun | None = None
) -> Generator[ImageDone | PartDone | BatchFinished, None, None]:
    """Caption parts and put them into a folder.

    The pipeline does not run empty between them. A part appears in the folder when all of its
    images have their records.

    Yields:
        An `ImageDone` for each image, in order; a `PartDone` after the last one of each part; then
        one `BatchFinished`.

    Raises:
        UsageError: The options do not suit the model.
        StorageError: A part cannot be written.
    """
    run = run or PartsRun()
    begun: deque[PartWriter] = deque()
    owners: deque[tuple[PartWriter, int]] = deque()

    def sources() -> Iterator[Source]:
        for part in parts:
            writer = PartWriter(part, folder, run)
            begun.append(writer)
            for unit, position in zip(part.units, part.positions, strict=True):
                for source in unit.sources(run.batch.limits):
                    owners.append((writer, position))
                    yield source

    with ExitStack() as stack:
        stack.callback(_abandon, begun)
        events = stack.enter_context(closing(caption_all(captioner, sources(), run.batch)))
        for event in events:
            if isinstance(event, BatchFinished):
                while begun and not event.stopped:
                    yield begun[0].commit()
                    begun.popleft()
                yield event
                return
            owner, position = owners.popleft()
            while begun[0] is not owner:
                yield begun[0].commit()
                begun.popleft()
            owner.add(position, event.record if run.shown is None else run.shown(event.record))
            yield event


def _abandon(writers: Iterable[PartWriter]) -> None:
    for writer in writers:
        writer.abandon()


class PartWriter:
    """Writes a part to a temporary file, and then into its folder."""

    def __init__(self, part: Part, folder: PartsPlace, run: PartsRun) -> None:
        self._part, self._folder, self._run = part, folder, run
        self._stack = ExitStack()
        self._write: Write | None = None
        self._file = Path()
        self._failures = Counter[str]()
        self._passing = self._records = 0
        self._runs: list[list[int]] = []

    def add(self, position: int, record: Record) -> None:
        """Add the record of an image; `position` is that of its unit in the whole list."""
        self._open()(record, None)
        self._records += 1
        if isinstance(record, CaptionFailure):
            self._failures[record.code] += 1
            # What could not be read at all may be there next time.
            self._passing += record.may_pass or record.sha256 is None
        add_to_runs(self._runs, position)

    def commit(self) -> PartDone:
        """Finish the file and put it into the folder."""
        self._open()
        self._stack.close()
        done = PartDone(
            *(),
            file="",
            digest="",
            sha256="",
            size=0,
            records=self._records,
            failures=dict(self._failures.most_common()),
            passing=self._passing,
            runs=self._runs,
        )
        try:
            return self._folder.commit(self._part, self._file, done)
        finally:
            self._remove()

    def abandon(self) -> None:
        """Leave the part as it is in the folder."""
        if self._write is not None:
            error = GeneratorExit()
            try:
                self._stack.__exit__(type(error), error, None)
            finally:
                self._remove()

    def _open(self) -> Write:
        if self._write is None:
            place = Path(tempfile.mkdtemp(prefix="capgen-part-"))
            self._file = place / self._folder.file_of(self._part)
            opened = open_format(self._file, self._folder.format, tags=self._run.tags)
            self._write = self._stack.enter_context(opened)
        return self._write

    def _remove(self) -> None:
        # Once more if Ctrl-C came in between, when nothing is left.
        shutil.rmtree(self._file.parent, ignore_errors=True)
        self._write = None


def add_to_runs(runs: list[list[int]], position: int) -> None:
    """Add a record to [position, units, records]; see `PartDone.runs`."""
    if runs:
        start, units, records = runs[-1]
        if position == start + units and records == units:
            runs[-1] = [start, units + 1, records + 1]
            return
        if position == start and units == 1:
            runs[-1] = [start, 1, records + 1]
            return
        if position == start + units - 1 and records == units:
            # The last unit of the run has more than one record.
            runs[-1] = [start, units - 1, records - 1]
            runs.append([position, 1, 2])
            return
    runs.append([position, 1, 1])
