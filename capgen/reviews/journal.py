"""The journal of decisions: an append-only file beside the records, `captions.jsonl.reviews`.

Each line is one decision as JSON, and the last one about an image counts. A line is on the disk
before its caller goes on, so that what was shown as saved survives a killed process or a power cut.
A killed process leaves at most part of a line, which the next one cuts off.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from capgen.errors import StorageError
from capgen.locks import Lock
from capgen.overwriting import JOURNAL_SUFFIX, OWN_REVIEWS, check_output
from capgen.paths import storage_errors
from capgen.records import SCHEMA_VERSION, Caption, Record, Review

SUFFIX = ".reviews"
KIND = "capgen-review"


def reviews_path(records: Path) -> Path:
    """Return the path of the journal that belongs to a file of records, finished or not."""
    return records.with_name(records.name.removesuffix(JOURNAL_SUFFIX) + SUFFIX)


class ImageKey(NamedTuple):
    """What a decision is about.

    Attributes:
        path: The image's path as its record has it, or None.
        sha256: Hash of the image's bytes as its record has it, or None.
    """

    path: str | None
    sha256: str | None

    @classmethod
    def of(cls, record: Record) -> ImageKey:
        """Return the key of a record's image."""
        return cls(record.path, record.sha256)


@dataclass(frozen=True)
class Decision:
    """One line of a journal.

    Attributes:
        key: The image.
        review: What was decided; None takes the decision before back.
    """

    key: ImageKey
    review: Review | None


class Reviews:
    """The decisions that count, by image.

    Args:
        decisions: Decisions, oldest first.
    """

    def __init__(self, decisions: Iterable[Decision] = ()) -> None:
        self._by_key: dict[ImageKey, Review | None] = {}
        self._by_content: dict[str, list[Decision]] = {}
        self._by_path: dict[str, list[Decision]] = {}
        for decision in decisions:
            self.add(decision)

    def add(self, decision: Decision) -> None:
        """Add a decision, which replaces an earlier one about the same image."""
        key = decision.key
        self._by_key[key] = decision.review
        if key.sha256 is not None:
            self._by_content.setdefault(key.sha256, []).append(decision)
        if key.path is not None:
            self._by_path.setdefault(key.path, []).append(decision)

    def history(self, key: ImageKey) -> Sequence[Decision]:
        """Return what was decided about the same bytes (without a hash: path), oldest first."""
        if key.sha256 is not None:
            return self._by_content.get(key.sha256, ())
        return () if key.path is None else self._by_path.get(key.path, ())

    def version(self, key: ImageKey) -> int:
        """Return how often something was decided about an image (see `history`)."""
        return len(self.history(key))

    def find(self, record: Record) -> Review | None:
        """Return the decision about a record (see `about`)."""
        return self.about(ImageKey.of(record), proposed(record))

    def about(self, key: ImageKey, caption: str | None) -> Review | None:
        """Return the decision about an image for which a caption (or None) was proposed.

        A renamed image, or a copy, has the decision about the same bytes if the same caption was
        proposed. A record without a hash (a table's row) has the decision about its path.
        """
        if key in self._by_key:
            return self._by_key[key]
        history = self.history(key)
        if key.sha256 is None:
            return history[-1].review if history else None
        known: set[ImageKey] = set()
        for decision in reversed(history):
            if decision.key not in known and decision.review is not None:
                return decision.review if decision.review.proposed == caption else None
            known.add(decision.key)
        return None


def proposed(record: Record) -> str | None:
    """Return the caption that a record proposes; None if it has none."""
    if not isinstance(record, Caption):
        return None
    return record.text if record.review is None else record.review.proposed


class ReviewJournal:
    """A journal that this process may add to. Thread-safe.

    Args:
        path: The file; it is created with the first decision.

    Raises:
        ProtectedFileError: The file is not such a journal.
        StorageError: It cannot be written, or another process is writing it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        check_output(path, OWN_REVIEWS)
        self._one_process = Lock(path)
        created = not path.exists()
        if not self._one_process.take():
            raise StorageError(
                f"Another process is writing {path}", hint="Close the other review first."
            )
        with storage_errors(path):
            # Unbuffered: closing must not retry a failed write.
            self._file = path.open("ab", buffering=0)
            if created:
                _sync_folder(path.parent)
            decisions, self._end = _read(path)
            self._file.truncate(self._end)
        self.reviews = Reviews(decisions)

    def add(self, decisions: Sequence[Decision]) -> None:
        """Append decisions; they are on the disk when this returns.

        Raises:
            StorageError: They could not be written; then none of them counts.
        """
        data = b"".join(_line(decision) for decision in decisions)
        with self._lock, storage_errors(self.path):
            if not self._is_in_place():
                raise StorageError(
                    f"{self.path} was removed or replaced during the review",
                    hint="Put it back if you can, then end capgen review and start it again.",
                )
            try:
                unwritten = memoryview(data)
                while unwritten:
                    unwritten = unwritten[self._file.write(unwritten) :]
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(self._end)
                raise
            self._end += len(data)
            for decision in decisions:
                self.reviews.add(decision)

    def close(self) -> None:
        """Close the file; remove it if it is empty."""
        with self._lock:
            if self._end == 0 and self._is_in_place():
                with storage_errors(self.path):
                    self.path.unlink(missing_ok=True)
            self._file.close()
        self._one_process.release()

    def _is_in_place(self) -> bool:
        """Whether the path still leads to the open file; what is written elsewhere is lost."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False


def read_reviews(path: Path) -> Reviews:
    """Read a journal, which need not exist.

    Raises:
        StorageError: It cannot be read.
    """
    if not path.exists():
        return Reviews()
    with storage_errors(path):
        return Reviews(_read(path)[0])


def _read(path: Path) -> tuple[list[Decision], int]:
    """Return a journal's decisions, and the length of its whole lines."""
    decisions: list[Decision] = []
    end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            decisions += _parse(line)
    return decisions, end


def _parse(line: bytes) -> Iterator[Decision]:
    """Yield the decision in a line; nothing if it is damaged."""
    try:
        content = json.loads(line)
        if content["kind"] != KIND:
            return
        key = ImageKey(content["path"], content["sha256"])
        taken_back = content["verdict"] is None
        review = None if taken_back else Review.from_dict(content, content["caption"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    yield Decision(key, review)


def _line(decision: Decision) -> bytes:
    key, review = decision.key, decision.review
    content: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "kind": KIND, **key._asdict()}
    if review is None:
        content["verdict"] = None
    else:
        content |= {"caption": review.caption, **review.to_dict()}
    return json.dumps(content).encode() + b"\n"


def _sync_folder(folder: Path) -> None:
    """Put the name of a new file on the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
