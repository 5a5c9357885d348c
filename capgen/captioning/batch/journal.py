"""What a run has already captioned: records in an append-only file, found by content.

Each line is a record as JSON. Lines are appended whole and never changed: a killed process loses
at most the line it was writing, which the next run cuts off. The key of a record is the hash of
the image's bytes, the model's revision and the decoding settings, so a renamed image is found
and a changed one is not. Where a prompt names the file, so does the key.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from capgen.errors import StorageError
from capgen.locks import Lock
from capgen.overwriting import JOURNAL_SUFFIX, OWN_JOURNAL, check_output
from capgen.paths import storage_errors
from capgen.records import Caption, CaptionFailure, Record, record_from_dict, without_nulls

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_SYNCS = 5.0


def journal_path(output: Path) -> Path:
    """Return the path of an output file's journal."""
    return output.with_name(output.name + JOURNAL_SUFFIX)


class Journal:
    """The records of earlier runs and of this one, with the same model and settings.

    Args:
        path: The journal's file, created if it is missing.
        model: The model's name.
        revision: The model's revision.
        settings: Decoding settings, as records have them.
        fresh: Discard what the file holds.
        name_key: Returns what captions depend on in the name of an image.
        outdated: Whether the image of a record would be asked something else now.

    Raises:
        ProtectedFileError: The file is not a journal.
        StorageError: The file cannot be written, or another run is writing it.
    """

    def __init__(
        self,
        path: Path,
        model: str,
        revision: str,
        settings: Mapping[str, Any],
        *,
        fresh: bool = False,
        name_key: Callable[[str | None], str] = lambda path: "",
        outdated: Callable[[Record], bool] = lambda record: False,
    ) -> None:
        self.path = path
        self._name_key, self._outdated = name_key, outdated
        self._work = work_digest(model, revision, settings)
        # 16 bytes of each record's key → where the record begins. A million take 0.2 GB.
        self._places: dict[bytes, int] = {}
        # Those of earlier runs that were taken over during this one.
        self._absorbed: set[bytes] = set()
        self._lock = threading.Lock()
        self._synced = time.monotonic()
        check_output(path, OWN_JOURNAL)
        self._one_run = Lock(path)
        if not self._one_run.take():
            raise StorageError(
                f"Another run is writing {path}", hint="Wait for it, or choose another output."
            )
        with storage_errors(path):
            # Unbuffered: closing must not retry a failed write.
            self._file = path.open("ab", buffering=0)
            self._reader = path.open("rb")
            if fresh:
                self._file.truncate(0)
            self._end = self._heal()
        self._own = self._end  # where this run's records begin
        # Those of earlier runs whose images this one has not met.
        self._unmet = set(self._places)
        logger.debug("%s holds %d records of the same work", path, len(self))

    def __len__(self) -> int:
        return len(self._places)

    @property
    def unmet(self) -> int:
        """How many earlier records were not asked for: their images are not among the inputs."""
        return len(self._unmet)

    def find(self, sha256: str, path: str | None = None) -> Record | None:
        """Return the record of the image with these bytes, or None. Thread-safe.

        `path` is its name, which only counts if its caption depends on that.
        """
        with self._lock:
            key = self._key(sha256, path)
            self._unmet.discard(key)
            place = self._places.get(key)
            if place is None:
                return None
            self._reader.seek(place)
            return record_from_dict(json.loads(self._reader.readline()))

    def is_earlier(self, sha256: str, path: str | None = None) -> bool:
        """Whether the record that `find` gives is of an earlier run, not of this one."""
        with self._lock:
            return self._is_earlier(self._key(sha256, path))

    def _is_earlier(self, key: bytes) -> bool:
        return self._places.get(key, self._end) < self._own or key in self._absorbed

    def add(self, records: Iterable[Record]) -> None:
        """Append records. Thread-safe.

        Those without a content hash could not be found again, and of faults that may pass none is
        kept: such images are tried again.
        """
        lines = [
            (self._key(record.sha256, record.path), json.dumps(record.to_dict()).encode() + b"\n")
            for record in records
            if record.sha256 is not None and not _may_pass(record)
        ]
        with self._lock, storage_errors(self.path):
            if not lines or self._file.closed:  # a lane that finishes after the run was stopped
                return
            keys, new, end = [], list[bytes](), self._end
            for key, line in lines:
                if key in self._places and not self._is_earlier(key):
                    continue  # a copy of an image of this run
                new.append(line)
                keys.append((key, end))
                end += len(line)
            unwritten = memoryview(b"".join(new))
            while unwritten:
                unwritten = unwritten[self._file.write(unwritten) :]
            now = time.monotonic()
            if now - self._synced > _SECONDS_BETWEEN_SYNCS:
                os.fsync(self._file.fileno())
                self._synced = now
            self._end = end
            self._places.update(keys)
            self._absorbed.difference_update(key for key, _ in keys)

    def absorb(self, output: Path) -> None:
        """Add the records of a finished .json or .jsonl output that has the same work.

        Skips lines that are not records, or come from another model or other settings.
        """
        if not output.is_file():
            return
        before = self._own == self._end
        with storage_errors(output), output.open("rb") as file:
            for line in file:
                record = _parse(line.strip().rstrip(b","))
                if record is None or record.sha256 is None or self._other_work(record):
                    continue
                key = self._key(record.sha256, record.path)
                self._unmet.add(key)
                if key not in self._places:
                    self.add([_as_captioned(record)])
                    if not before:
                        with self._lock:
                            self._absorbed.add(key)
        if before:
            self._own = self._end
        with storage_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self, *, remove: bool = False) -> None:
        """Close the file; delete it if it is empty or `remove` is set."""
        with self._lock:
            empty = self._end == 0
            self._reader.close()
            self._file.close()
        self._one_run.release()
        if remove or empty:
            with storage_errors(self.path):
                self.path.unlink(missing_ok=True)

    def _heal(self) -> int:
        """Read the index, cut off an unfinished last line, and return the length."""
        end = 0
        for line in self._reader:
            if not line.endswith(b"\n"):
                break
            record = _parse(line)
            if record is not None and record.sha256 is not None and not self._other_work(record):
                self._places[self._key(record.sha256, record.path)] = end
            end += len(line)
        self._file.truncate(end)
        return end

    def _key(self, sha256: str, path: str | None) -> bytes:
        named = self._name_key(path).encode()
        return hashlib.sha256(sha256.encode() + self._work + named).digest()[:16]

    def _other_work(self, record: Record) -> bool:
        work = work_digest(record.model, record.revision, record.settings)
        return work != self._work or self._outdated(record)


def _parse(line: bytes) -> Record | None:
    try:
        return record_from_dict(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _may_pass(record: Record) -> bool:
    return isinstance(record, CaptionFailure) and record.may_pass


def _as_captioned(record: Record) -> Record:
    """Return a record without its write error, so that the write is retried."""
    return replace(record, unwritten=None) if isinstance(record, Caption) else record


def work_digest(model: str, revision: str, settings: Mapping[str, Any]) -> bytes:
    """Return a digest of everything but the image that a caption depends on."""
    # Version 0.1 did not have the first: its captions may repeat nouns.
    whole = {"repeat_nouns": True, **without_nulls(settings)}
    text = json.dumps([model, revision, whole], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()
