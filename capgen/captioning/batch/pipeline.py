"""Captioning many images: reading beside inference, in order, nothing captioned twice.

```
sources ─► reading threads: read, hash, look up, decode ─► batches ─► lanes: model ─► events
```

What is in a store is read by further threads before that (`fetching`).

Every stage is bounded, so memory does not grow with the number of images. Events come in the
order of the sources, and captions do not depend on batches, workers or lanes.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event
from typing import Any

from capgen.captioning.abandoning import unless_stopped
from capgen.captioning.batch.fetching import AT_ONCE, Readable, fetched_ahead
from capgen.captioning.batch.grouping import grouped, read_ahead
from capgen.captioning.batch.journal import Journal
from capgen.captioning.batch.sources import Source
from capgen.captioning.batch_size import fitting_lanes
from capgen.captioning.captioner import Captioner
from capgen.captioning.prepare import Prepared, failure_of
from capgen.captioning.runtimes.cores import usable_cores
from capgen.config import BatchOptions, DecodeOptions, ImageLimits
from capgen.errors import ImageError
from capgen.images.decoding_memory import claim_memory
from capgen.images.load import DEFAULT_LIMITS
from capgen.records import CaptionFailure, Record

logger = logging.getLogger(__name__)

# Requests to a server that may be done before the oldest of them is, per request in flight.
_AHEAD = 4


@dataclass(frozen=True, kw_only=True)
class ImageDone:
    """One image has its record.

    Attributes:
        source: Where the image came from.
        record: The caption, or the failure.
        reused: Whether the record is from an earlier run.
        thumbnail: A small WebP of the image, if it was asked for and could be made.
    """

    source: Source
    record: Record
    reused: bool = False
    thumbnail: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class BatchFinished:
    """All images have their records, or `fail_fast` ended the run.

    Attributes:
        captions: Images with a caption.
        failures: Images without one, by error code.
        reused: Records from an earlier run.
        seconds: Duration.
        stopped: Whether the run ended at its first failure.
    """

    captions: int
    failures: Mapping[str, int] = field(default_factory=dict)
    reused: int = 0
    seconds: float = 0.0
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """How to caption many images.

    Attributes:
        decoding: How to decode.
        options: Batch size, threads, and what failures do.
        limits: The largest image to decode.
        journal: What is already done; new records are appended before their event comes.
        lanes: Batches that the model works on at the same time. More than one is faster if the
            captioner has fewer threads than there are cores; where memory is short there are
            fewer. A server gets as many images as its
            runtime has requests in flight, one a batch, whatever this says.
        thumbnails: Make a small copy of every image.
        originals: Hashes of files that had a caption written into them → the hash that each
            had before, which is its hash in records and the journal.
    """

    decoding: DecodeOptions = field(default_factory=DecodeOptions)
    options: BatchOptions = field(default_factory=BatchOptions)
    limits: ImageLimits = DEFAULT_LIMITS
    journal: Journal | None = None
    lanes: int = 1
    thumbnails: bool = False
    originals: Mapping[str, str] = field(default_factory=dict)


def caption_all(
    captioner: Captioner, sources: Iterable[Source], run: BatchRun | None = None
) -> Generator[ImageDone | BatchFinished, None, None]:
    """Caption images (see `capgen.captioning.batch.sources`), reading them as needed.

    Yields:
        An `ImageDone` for each source, in order, then one `BatchFinished`.

    Raises:
        UsageError: The options do not suit the model.
        StorageError: The journal cannot be written.
    """
    run = run or BatchRun()
    started = time.monotonic()
    captions, reused, stopped = 0, 0, False
    failures: Counter[str] = Counter()
    batches = _Pipeline(captioner, run).batches(sources)
    try:
        for batch in batches:
            for done in batch:
                reused += done.reused
                if isinstance(done.record, CaptionFailure):
                    failures[done.record.code] += 1
                    stopped = run.options.fail_fast
                else:
                    captions += 1
                yield done
                if stopped:
                    break
            if stopped:
                break
    finally:
        batches.close()
    yield BatchFinished(
        captions=captions,
        failures=dict(failures.most_common()),
        reused=reused,
        seconds=time.monotonic() - started,
        stopped=stopped,
    )


@dataclass(frozen=True)
class _Waiting:
    """An image ready for the model."""

    source: Source
    prepared: Prepared


_Read = ImageDone | _Waiting


def _input_bytes(read: _Read) -> int | None:
    """Return how much memory the model's input takes; None if the model gets nothing."""
    return read.prepared.input.nbytes if isinstance(read, _Waiting) else None


def _file_bytes(source: Source) -> int:
    """Return the size of a source's file, as far as it is known before it is read."""
    with suppress(OSError, ValueError):
        return 0 if source.file is None else source.file.stat().st_size
    return 0


class _Pipeline:
    """Reads, prepares and captions the images of one run."""

    def __init__(self, captioner: Captioner, run: BatchRun) -> None:
        self.stop = Event()
        self.captioner = captioner.until(self.stop)
        self.run = run
        self.settings, self.notes = captioner.settings(run.decoding)
        self.revision = captioner.model.fingerprint
        # A failure records the run as a caption does.
        self.made_by: dict[str, Any] = {
            "model": captioner.name,
            "revision": self.revision,
            "settings": captioner.record_settings(self.settings),
        }
        self.requests = captioner.runtime.in_flight
        self.lanes = fitting_lanes(captioner.runtime.image_bytes, max(1, run.lanes))

    def batches(self, sources: Iterable[Source]) -> Generator[list[ImageDone], None, None]:
        """Yield finished batches in order; the model works on at most `lanes` at once."""
        # More are ready than the server gets at a time, so that it never waits for the next one.
        ready = self.requests + self.requests // 4 + 1
        lanes = ready if self.requests else self.lanes
        # Behind a slow answer the others go on: each request takes its own time.
        waiting = _AHEAD * lanes if self.requests else lanes
        asked = self.run.options.batch_size
        size = 1 if self.requests else self.captioner.batch_of(asked, lanes)
        workers = self.run.options.workers or usable_cores()
        logger.debug("batches of %d, %d reading threads, %d lanes", size, workers, lanes)
        fetchers = ThreadPoolExecutor(max(AT_ONCE, workers), "capgen-fetch")
        readers = ThreadPoolExecutor(workers, "capgen-read")
        models = ThreadPoolExecutor(lanes, "capgen-model")
        working: deque[Future[list[ImageDone]]] = deque()
        try:
            images = fetched_ahead(fetchers, sources, self._bytes, ahead=max(AT_ONCE, workers))
            reads = read_ahead(readers, self._read, images, size + workers)
            for batch in grouped(reads, size, _input_bytes):
                working.append(models.submit(self._caption, batch))
                if len(working) > waiting:
                    yield working.popleft().result()
            while working:
                yield working.popleft().result()
        finally:
            self.stop.set()
            fetchers.shutdown(wait=False, cancel_futures=True)
            readers.shutdown(wait=False, cancel_futures=True)
            models.shutdown(wait=False, cancel_futures=True)

    def _bytes(self, source: Source) -> bytes:
        return source.read(self.run.limits, self.stop)

    def _read(self, image: Readable) -> _Read:
        """Read, hash, look up and prepare one image, in a reading thread."""
        with ExitStack() as turn:
            return self._read_in(turn, image)

    def _read_in(self, turn: ExitStack, image: Readable) -> _Read:
        limits, thumbnails, source = self.run.limits, self.run.thumbnails, image.source
        try:
            claim_memory(turn, _file_bytes(source), source.label)
            data = image.read()
            digest = hashlib.sha256(data).hexdigest()
        except (ImageError, MemoryError) as error:
            return self._failed(source, failure_of(error, source.name), None)
        digest = self.run.originals.get(digest, digest)
        known, earlier = self._known(source, digest)
        if known is not None and not thumbnails:
            return ImageDone(source=source, record=known, reused=earlier)
        prepared = self.captioner.prepare(
            data, path=source.name or None, sha256=digest, limits=limits, thumbnail=thumbnails
        )
        if known is not None:
            small = prepared.thumbnail if isinstance(prepared, Prepared) else None
            return ImageDone(source=source, record=known, reused=earlier, thumbnail=small)
        if isinstance(prepared, CaptionFailure):
            return self._failed(source, prepared, digest)
        return _Waiting(source, prepared)

    def _failed(self, source: Source, failure: CaptionFailure, sha256: str | None) -> ImageDone:
        return ImageDone(source=source, record=replace(failure, sha256=sha256, **self.made_by))

    def _known(self, source: Source, digest: str) -> tuple[Record | None, bool]:
        """Return the record of an image, and whether an earlier run made it, not this one."""
        journal = self.run.journal
        record = None if journal is None else journal.find(digest, source.name)
        if journal is None or record is None:
            return None, False
        if isinstance(record, CaptionFailure) and (
            # Its message names the file.
            self.run.options.retry_failed or record.path != source.name
        ):
            return None, False
        return replace(record, path=source.name), journal.is_earlier(digest, source.name)

    def _caption(self, batch: list[_Read]) -> list[ImageDone]:
        """Caption the prepared images of a batch, in a lane, and add them to the journal."""
        records = iter(self._made([read.prepared for read in batch if isinstance(read, _Waiting)]))
        done = [
            read
            if isinstance(read, ImageDone)
            else ImageDone(
                source=read.source, record=next(records), thumbnail=read.prepared.thumbnail
            )
            for read in batch
        ]
        if self.run.journal is not None:
            # At once: what is done must not wait for slower lanes, and be lost with the process.
            self.run.journal.add(item.record for item in done if not item.reused)
        return done

    def _made(self, batch: list[Prepared]) -> list[Record]:
        caption = partial(
            self.captioner.caption_prepared,
            *(batch, self.settings, self.notes),
            revision=self.revision,
        )
        if not self.requests or not batch:
            return caption()
        # A request may take minutes: it must not keep the process from ending.
        return unless_stopped(
            self.stop, caption, cancelled=CancelledError(), thread="capgen-request"
        )
