"""What a worker does, in a process of its own: it loads a model and captions parts."""

from __future__ import annotations

import pickle
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import capgen
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, caption_all
from capgen.captioning.batch.sources import FailedSource, Source
from capgen.captioning.captioner import Captioner
from capgen.captioning.runtimes.cores import lanes_and_threads
from capgen.distributed.caption_parts import PartsRun, caption_parts
from capgen.distributed.caption_share import absorb_records, open_journal, record_work
from capgen.distributed.plan import Part, Unit
from capgen.distributed.tasks import PartMade, Piece, PieceMade, Task
from capgen.distributed.vouchers import PartDone
from capgen.errors import ImageError, UsageError
from capgen.records import CaptionFailure, Record

# Failures of a part that are told one by one; others are only counted.
MOST_FAILURES = 20


@dataclass(frozen=True, kw_only=True)
class WorkerJob:
    """What every worker of a run does.

    Attributes:
        load: Loads the captioner with that many threads; it must be possible to pickle it.
        format: `jsonl` or `parquet`.
        run: How to caption; lanes and threads are chosen by the worker.
        cores: Cores for each worker.
        version: The version of capgen that asks.
    """

    load: Callable[[int], Captioner]
    format: str
    run: PartsRun
    cores: int
    version: str = capgen.__version__


class PartWorker:
    """A loaded captioner that does tasks.

    Raises:
        CapgenError: The model cannot be loaded.
        UsageError: This is another version of capgen.
    """

    def __init__(self, job: WorkerJob) -> None:
        if job.version != capgen.__version__:
            raise UsageError(
                f"A worker has capgen {capgen.__version__}, and this is {job.version}",
                hint="All machines need the same version.",
            )
        batch = job.run.batch
        options = batch.options
        lanes, threads = lanes_and_threads(None, options.batch_size, job.cores)
        self._captioner = job.load(threads)
        self._format = job.format
        batch = replace(
            batch,
            options=replace(options, workers=options.workers or job.cores),
            lanes=lanes if self._captioner.runtime.name == "onnx" else 1,
        )
        self._run = replace(job.run, batch=batch)
        self.work = record_work(self._captioner, batch.decoding, job.run.tags, job.format)
        _, self.notes = self._captioner.settings(batch.decoding)

    def do(self, task: Task) -> PartMade | PieceMade:
        """Caption a part, or a piece of one."""
        return self._part(task) if task.piece is None else self._piece(task.part, task.piece)

    def _part(self, task: Task) -> PartMade:
        kept = _Kept(self._format)
        batch = self._run.batch
        failures: list[CaptionFailure] = []
        done: PartDone | None = None
        with tempfile.TemporaryDirectory(prefix="capgen-journal-") as place:
            path = Path(place, "part.journal")
            with closing(open_journal(self._captioner, batch.decoding, path)) as journal:
                if task.earlier is not None:
                    absorb_records(journal, task.earlier)
                run = replace(self._run, batch=replace(batch, journal=journal))
                for event in caption_parts(self._captioner, [task.part], kept, run):
                    if isinstance(event, PartDone):
                        done = event
                    elif isinstance(event, BatchFinished):
                        finished = event
                    elif isinstance(event.record, CaptionFailure):
                        failures += [event.record] if len(failures) < MOST_FAILURES else []
        return PartMade(finished=finished, done=done, data=kept.data, failures=tuple(failures))

    def _piece(self, part: Part, piece: Piece) -> PieceMade:
        """Caption a piece, image by image: where the process dies, one image is at work."""
        batch = self._run.batch
        options = replace(batch.options, batch_size=1, workers=1)
        alone = BatchRun(decoding=batch.decoding, options=options, limits=batch.limits)
        positions: list[int] = []
        shown = self._run.shown or (lambda record: record)

        def sources() -> Iterator[Source]:
            for position, source in self._images(part, piece):
                positions.append(position)
                yield source

        records: list[tuple[int, Record]] = []
        for event in caption_all(self._captioner, sources(), alone):
            if isinstance(event, BatchFinished):
                finished = event
            else:
                records.append((positions[len(records)], shown(event.record)))
        return PieceMade(finished=finished, records=tuple(records))

    def _images(self, part: Part, piece: Piece) -> Iterator[tuple[int, Source]]:
        if piece.given_up and piece.images is None:
            [unit], [position] = part.units, part.positions
            yield position, _given_up(unit)
            return
        limits = self._run.batch.limits
        images = (
            (position, source)
            for unit, position in zip(part.units, part.positions, strict=True)
            for source in unit.sources(limits)
        )
        stop = None if piece.images is None else piece.first + piece.images
        for position, source in islice(images, piece.first, stop):
            yield position, _given_up(source) if piece.given_up else source


def _given_up(source: Source | Unit) -> FailedSource:
    text = FailedSource(source.name, ImageError("", code="crashed")).label
    return FailedSource(
        source.name,
        ImageError(
            f"{text}: the process that captions it dies each time",
            code="crashed",
            hint="Try it alone: capgen caption FILE",
        ),
    )


class _Kept:
    """A place for one part, in memory."""

    def __init__(self, format: str) -> None:
        self.format = format
        self.data = b""

    def file_of(self, part: Part) -> str:
        return f"part.{self.format}"

    def commit(self, part: Part, file: Path, done: PartDone) -> PartDone:
        self.data = file.read_bytes()
        return done


def portable(error: Exception) -> Exception:
    """Return an error that another process can read, with its traceback as a note."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:  # of classes that pickle badly, nothing but the text can be sent
        copy = RuntimeError(f"{type(error).__name__}: {error}")
    copy.add_note("".join(traceback.format_exception(error)))
    return copy
