"""Fetch the files of a data set in parallel, each from the first source that has it intact.

Each file has a thread; their events come out of one generator. Closing the generator (as an
interrupt does) stops the threads; a later run resumes the partial downloads.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from capgen.addresses import without_credentials
from capgen.data.download.mirrors import Offer
from capgen.data.download.transfer import (
    StoppedError,
    TransferOptions,
    Watcher,
    discard,
    transfer,
)
from capgen.data.events import Notice, Progress
from capgen.digests import file_digest
from capgen.errors import DataError, NetworkError, StorageError
from capgen.paths import storage_errors

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to fetch: its path, and the sources to fetch it from, best first."""

    path: Path
    offers: Sequence[Offer]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that has arrived and has been checked, with its source and its own checksum."""

    path: Path
    url: str
    checksum: str


_FEWER_ATTEMPTS = 3

_Event = Progress | Notice | Fetched
_Queue = queue.SimpleQueue[_Event | BaseException | None]


def fetch_all(jobs: Sequence[Job], options: TransferOptions) -> Iterator[_Event]:
    """Fetch files in parallel, yielding progress, notices and a `Fetched` per file.

    If all sources of a file fail, the error of the last one is raised.
    """
    events: _Queue = queue.SimpleQueue()
    stop = threading.Event()
    threads = [
        # Daemons: a silent socket must not delay the end of the program.
        threading.Thread(target=_work, args=(job, options, events, stop), daemon=True)
        for job in jobs
    ]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            try:
                event = events.get(timeout=0.5)  # on Windows an interrupt waits for this
            except queue.Empty:
                continue
            if isinstance(event, BaseException):
                raise event  # with the traceback of its thread
            if event is None:
                left -= 1
            else:
                yield event
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=1)


def _work(job: Job, options: TransferOptions, events: _Queue, stop: threading.Event) -> None:
    """Run in a thread: put all events into the queue, including errors, and finally None."""
    name = job.path.name
    watcher = Watcher(
        progress=lambda done, total: events.put(
            Progress(task="download", item=name, done=done, total=total)
        ),
        notice=lambda message: events.put(Notice(message=message)),
        stop=stop,
    )
    try:
        events.put(_fetch(job, options, watcher))
    except StoppedError:
        pass
    except BaseException as error:  # even a bug: the caller must not think the file was fetched
        events.put(error)
    finally:
        events.put(None)


def _fetch(job: Job, options: TransferOptions, watcher: Watcher) -> Fetched:
    # No long wait while there are other sources.
    hasty = replace(options, attempts=min(_FEWER_ATTEMPTS, options.attempts))
    *others, last = job.offers
    for offer in others:
        logger.debug("%s: trying %s", job.path.name, offer.url)
        try:
            return _fetch_from(offer, job.path, watcher, hasty)
        except (NetworkError, DataError) as error:
            watcher.notice(f"{error.message}; trying the next source")
    return _fetch_from(last, job.path, watcher, options)


def _fetch_from(offer: Offer, path: Path, watcher: Watcher, options: TransferOptions) -> Fetched:
    shown = without_credentials(offer.url)
    for last_try in (False, True):
        part = transfer(offer.url, path, watcher, options, token=offer.token)
        algorithm = (offer.checksum or "sha256:").partition(":")[0]
        checksum = f"{algorithm}:{file_digest(part, StorageError, algorithm)}"
        if checksum == offer.checksum or not (offer.checksum and offer.binding):
            break
        discard(path)
        message = f"{path.name} from {shown} has {checksum}, not {offer.checksum}"
        if last_try:
            hint = "The source has a damaged or a different file; it was deleted."
            raise DataError(message, hint=hint)
        watcher.notice(f"{message}; fetching it again")
    if offer.checksum and checksum != offer.checksum:
        watcher.notice(
            f"{path.name} from {shown} is not the official release ({checksum});"
            " capgen checks its content after unpacking"
        )
    with storage_errors(path):
        part.replace(path)
        discard(path)
    return Fetched(path=path, url=shown, checksum=checksum)
