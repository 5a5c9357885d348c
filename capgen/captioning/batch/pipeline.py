"""Captioning many images: decoding beside inference, in order, with nothing done twice.

```
sources ─► reading threads: read, hash, look up, decode ─► batches ─► lanes: model ─► events
```

Every stage is bounded, so that memory does not grow with the number of images. Events come
in the order of the sources, and captions do not depend on batches, workers or lanes.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from threading import Event

from capgen.captioning.batch.journal import Journal
from capgen.captioning.batch.sources import Source
from capgen.captioning.captioner import Captioner
from capgen.captioning.prepare import Prepared
from capgen.captioning.runtimes.cores import usable_cores
from capgen.config import BatchOptions, DecodeOptions, ImageLimits
from capgen.errors import ImageError
from capgen.images.decoders import out_of_memory
from capgen.images.load import DEFAULT_LIMITS
from capgen.images.thumbnails import thumbnail
from capgen.records import CaptionFailure, Record

# A batch is closed early when its prepared images hold this much (float32 pixels).
_BATCH_BYTES = 128 << 20


@dataclass(frozen=True, kw_only=True)
class ImageDone:
    """One image has its record.

    Attributes:
        source: Where the image came from.
        record: The caption, or the failure.
        reused: Whether the record is from an earlier run.
        thumbnail: A small WebP of the image where that was asked for and possible.
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
        failures: Images without, by the code of their error.
        reused: Records taken over from an earlier run.
        seconds: Duration.
        stopped: Whether the run ended at its first failure.
    """

    captions: int
    failures: Mapping[str, int] = field(default_factory=dict)
    reused: int = 0
    seconds: float = 0.0
    stopped: bool = False


def caption_all(
    captioner: Captioner,
    sources: Iterable[Source],
    decoding: DecodeOptions | None = None,
    options: BatchOptions | None = None,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    journal: Journal | None = None,
    lanes: int = 1,
    thumbnails: bool = False,
    originals: Mapping[str, str] | None = None,
) -> Generator[ImageDone | BatchFinished, None, None]:
    """Caption images as they come.

    Args:
        captioner: The model.
        sources: The images (see `capgen.captioning.batch.sources`), read as needed.
        decoding: What to ask of decoding.
        options: Batch size, threads, and what failures do.
        limits: The largest image to decode.
        journal: What is already done; new records are appended before their event comes.
        lanes: Batches that the model works on at the same time. More than one pays off with
            a captioner that was loaded with fewer threads than there are cores.
        thumbnails: Make a small copy of every image.
        originals: Hashes of files that had a caption written into them, and the hash that
            each had before: what records and the journal know it by.

    Yields:
        A `ImageDone` for each source, in order, then one `BatchFinished`.

    Raises:
        UsageError: The options do not suit the model.
        StorageError: The journal cannot be written.
    """
    options = options or BatchOptions()
    started = time.monotonic()
    run = _Run(captioner, decoding or DecodeOptions(), options, limits, journal)
    run.thumbnails = thumbnails
    run.originals = originals or {}
    captions, reused, stopped = 0, 0, False
    failures: Counter[str] = Counter()
    batches = run.batches(sources, max(1, lanes))
    try:
        for batch in batches:
            if journal is not None:
                journal.add(done.record for done in batch if not done.reused)
            for done in batch:
                reused += done.reused
                if isinstance(done.record, CaptionFailure):
                    failures[done.record.code] += 1
                    stopped = options.fail_fast
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
class _Read:
    """A source after reading: done already, or prepared for the model."""

    source: Source
    done: ImageDone | None
    prepared: Prepared | None = None
    thumbnail: bytes | None = None


class _Run:
    """What stays the same for all images of a run."""

    def __init__(
        self,
        captioner: Captioner,
        decoding: DecodeOptions,
        options: BatchOptions,
        limits: ImageLimits,
        journal: Journal | None,
    ) -> None:
        self.captioner = captioner
        self.settings, self.notes = captioner.settings(decoding)
        self.record_settings = captioner.record_settings(self.settings)
        self.revision = captioner.folder.fingerprint
        self.options = options
        self.limits = limits
        self.journal = journal
        self.thumbnails = False
        self.stop = Event()
        self.originals: Mapping[str, str] = {}

    def batches(
        self, sources: Iterable[Source], lanes: int
    ) -> Generator[list[ImageDone], None, None]:
        """Yield finished batches in order; at most `lanes` are with the model at once."""
        size = self.captioner.batch_of(self.options.batch_size)
        workers = self.options.workers or usable_cores()
        readers = ThreadPoolExecutor(workers, "capgen-read")
        models = ThreadPoolExecutor(lanes, "capgen-model")
        working: deque[Future[list[ImageDone]]] = deque()
        try:
            reads = _ahead(readers, self._read, sources, size + workers)
            for batch in _grouped(reads, size):
                working.append(models.submit(self._caption, batch))
                if len(working) > lanes:
                    yield working.popleft().result()
            while working:
                yield working.popleft().result()
        finally:
            self.stop.set()
            readers.shutdown(wait=False, cancel_futures=True)
            models.shutdown(wait=False, cancel_futures=True)

    def _read(self, source: Source) -> _Read:
        """Read, hash, look up and decode one image. Runs in a reading thread."""
        digest: str | None = None
        try:
            data = source.read(self.limits, self.stop)
            digest = hashlib.sha256(data).hexdigest()
            digest = self.originals.get(digest, digest)
            known = self._known(source, digest)
            if known is not None and not self.thumbnails:
                return _Read(source, ImageDone(source=source, record=known, reused=True))
            loaded = self.captioner.load(data, limits=self.limits, name=source.label)
            small = thumbnail(loaded.image) if self.thumbnails else None
            if known is not None:
                done = ImageDone(source=source, record=known, reused=True, thumbnail=small)
                return _Read(source, done)
            prepared = self.captioner.prepare(loaded, source.name, digest)
        except (ImageError, MemoryError) as error:
            fault = error if isinstance(error, ImageError) else out_of_memory(source.label)
            failure = CaptionFailure(
                path=source.name,
                code=fault.code,
                message=fault.message,
                hint=fault.hint,
                sha256=digest,
                model=self.captioner.name,
                revision=self.revision,
                settings=self.record_settings,
            )
            return _Read(source, ImageDone(source=source, record=failure))
        return _Read(source, None, prepared, small)

    def _known(self, source: Source, digest: str) -> Record | None:
        found = None if self.journal is None else self.journal.find(digest)
        if isinstance(found, CaptionFailure) and (
            # Its message names the file.
            self.options.retry_failed or found.path != source.name
        ):
            return None
        return None if found is None else replace(found, path=source.name)

    def _caption(self, batch: list[_Read]) -> list[ImageDone]:
        """Caption what is prepared. Runs in a lane."""
        waiting = [read.prepared for read in batch if read.prepared is not None]
        captions = iter(
            self.captioner.caption_prepared(
                waiting, self.settings, self.notes, revision=self.revision
            )
        )
        return [
            read.done
            or ImageDone(source=read.source, record=next(captions), thumbnail=read.thumbnail)
            for read in batch
        ]


def _ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[Source], _Read],
    items: Iterable[Source],
    ahead: int,
) -> Iterator[_Read]:
    """Yield `function(item)` in order, at most `ahead` of them at work or waiting."""
    remaining = iter(items)
    pending = deque(pool.submit(function, item) for item in islice(remaining, ahead))
    while pending:
        yield pending.popleft().result()
        for item in islice(remaining, 1):
            pending.append(pool.submit(function, item))


def _grouped(reads: Iterable[_Read], size: int) -> Iterator[list[_Read]]:
    """Yield batches of at most `size` images for the model, and not too many others."""
    batch: list[_Read] = []
    prepared, held = 0, 0
    for read in reads:
        batch.append(read)
        if read.prepared is not None:
            prepared += 1
            held += read.prepared.pixels.nbytes
        if prepared == size or held >= _BATCH_BYTES or len(batch) >= 4 * size:
            yield batch
            batch, prepared, held = [], 0, 0
    if batch:
        yield batch
