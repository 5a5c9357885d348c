"""Fetch the files of a data set side by side, each from the first place that has it right.

Each file has a thread; what they tell comes out of one generator. Closing the generator (an
interrupt does) stops the threads; what has arrived stays for the next time.
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
from capgen.errors import CapgenError, DataError, NetworkError, StorageError
from capgen.paths import storage_errors

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to fetch.

    Attributes:
        path: Where it goes.
        offers: Places to fetch it from, best first.
    """

    path: Path
    offers: Sequence[Offer]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """One file is there and has been checked.

    Attributes:
        path: Where it is.
        url: Where it came from.
        checksum: Its own checksum.
    """

    path: Path
    url: str
    checksum: str


_FEWER_ATTEMPTS = 3

_Told = Progress | Notice | Fetched
_Queue = queue.SimpleQueue[_Told | BaseException | None]


def fetch_all(jobs: Sequence[Job], options: TransferOptions) -> Iterator[_Told]:
    """Fetch files side by side.

    Yields:
        Progress and notices as they come, and a `Fetched` for each file.

    Raises:
        NetworkError: No place gives a file.
        DataError: Every place gives a file with the wrong checksum.
        StorageError: The disk is full.
    """
    told: _Queue = queue.SimpleQueue()
    stop = threading.Event()
    threads = [
        # Daemons: a socket that is silent must not hold up the end of the program.
        threading.Thread(target=_work, args=(job, options, told, stop), daemon=True)
        for job in jobs
    ]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            try:
                item = told.get(timeout=0.5)  # on Windows an interrupt waits for this
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                raise item  # with the traceback of its thread
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=1)


def _work(job: Job, options: TransferOptions, told: _Queue, stop: threading.Event) -> None:
    """Run in a thread: tell everything, errors included, and at last None."""
    try:
        told.put(_fetch(job, options, told, stop))
    except StoppedError:
        pass
    except BaseException as error:  # a bug, too: the caller must not take the file for fetched
        told.put(error)
    finally:
        told.put(None)


def _fetch(
    job: Job,
    options: TransferOptions,
    told: _Queue,
    stop: threading.Event,
) -> Fetched:
    name = job.path.name
    watcher = Watcher(
        progress=lambda done, total: told.put(
            Progress(task="download", item=name, done=done, total=total)
        ),
        notice=lambda message: told.put(Notice(message=message)),
        stop=stop,
    )
    failure: CapgenError | None = None
    for index, offer in enumerate(job.offers):
        patience = options
        if index < len(job.offers) - 1:  # no long wait while there are other places
            patience = replace(options, attempts=min(_FEWER_ATTEMPTS, options.attempts))
        logger.debug("%s: place %d of %d, %s", name, index + 1, len(job.offers), offer.url)
        try:
            return _fetch_from(offer, job.path, watcher, patience)
        except (NetworkError, DataError) as error:
            if index < len(job.offers) - 1:
                watcher.notice(f"{error.message}; trying the next place")
            failure = error
    assert failure is not None
    raise failure


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
            raise DataError(
                message,
                hint="The file there is damaged or another one; it was not kept.",
            )
        watcher.notice(f"{message}; fetching it again")
    if offer.checksum and checksum != offer.checksum:
        watcher.notice(
            f"{path.name} from {shown} is not the official release ({checksum});"
            " its content is checked after unpacking"
        )
    with storage_errors(path):
        part.replace(path)
        discard(path)
    return Fetched(path=path, url=shown, checksum=checksum)
