"""The undo file: how to get changed files back, byte for byte.

A line a change, written before the file is replaced: the hashes before and after, and the old
file as parts, each either a range of the new file or bytes of its own. A file that was made has
no hash before, and is removed again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.errors import DataError, DiskFullError, StorageError
from capgen.overwriting import OWN_LINES, check_output
from capgen.paths import check_place, replace_file, storage_errors
from capgen.records import SCHEMA_VERSION
from capgen.temporary_files import remove_leftovers


@dataclass(frozen=True)
class Undone:
    """What became of one file.

    Attributes:
        path: The file.
        problem: Why it stays as it is, or an empty string.
    """

    path: Path
    problem: str = ""


class UndoFile:
    """Records changes.

    Args:
        path: The file; changes of earlier runs stay in it.

    Raises:
        ProtectedFileError: There is a file that is not an undo file.
        StorageError: There is a folder of that name, or it may not be read.
    """

    def __init__(self, path: Path) -> None:
        check_place(path)
        check_output(path, OWN_LINES)
        if path.parent.is_dir() and not os.access(path if path.exists() else path.parent, os.W_OK):
            raise StorageError(
                f"Not allowed to write {path}", hint="--undo-file names another place for it."
            )
        self.path = path
        # Hash of each changed image → its hash before, as the journal knows it, and the caption
        # that was written into it.
        self.originals: dict[str, str] = {}
        self.captions: dict[str, str] = {}
        if path.is_file():
            for entry in _entries(path):
                self._note(entry)

    def record(
        self,
        path: Path,
        old: Sequence[bytes] | None,
        new: Sequence[bytes],
        *,
        caption: str | None = None,
    ) -> None:
        """Write down how to make the file of pieces `old` from that of pieces `new`.

        Args:
            path: The file that is about to be written.
            old: What is there, or None if nothing is.
            new: What will be there.
            caption: For an image: the caption that `new` has and `old` had not.

        Raises:
            StorageError: It cannot be written.
        """
        entry = {
            "schema_version": SCHEMA_VERSION,
            "path": os.path.abspath(path),  # noqa: PTH100 (keeps links)
            "sha256_before": None if old is None else _hash(b"".join(old)),
            "sha256_after": _hash(b"".join(new)),
            "parts": _parts(old or (), new),
        }
        if caption is not None:
            entry["caption"] = caption
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if file.tell() and not _ends_whole(self.path):
                    file.write(b"\n")
                file.write(json.dumps(entry).encode() + b"\n")
                file.flush()
                if old is not None:  # or nothing can be lost
                    os.fsync(file.fileno())
        self._note(entry)

    def _note(self, entry: dict[str, Any]) -> None:
        before, after = entry["sha256_before"], str(entry["sha256_after"])
        if before is not None:
            self.originals[after] = self.originals.get(str(before), str(before))
        if "caption" in entry:
            self.captions[after] = str(entry["caption"])


def undo(path: Path) -> Iterator[Undone]:
    """Take back all changes of an undo file, the latest first.

    A file that was changed since by something else stays as it is.

    Raises:
        DataError: The file cannot be read.
        DiskFullError: No space is left.
    """
    swept: set[Path] = set()
    for entry in reversed(list(_entries(path))):
        file = Path(entry["path"])
        folder = Path(os.path.realpath(file)).parent
        if folder not in swept:
            swept.add(folder)
            remove_leftovers(folder)
        yield _undo_one(file, entry)


def _undo_one(path: Path, entry: dict[str, Any]) -> Undone:
    made = entry["sha256_before"] is None
    try:
        current = path.read_bytes()
    except OSError as error:
        if made and isinstance(error, FileNotFoundError):
            return Undone(path)
        return Undone(path, error.strerror or "cannot be read")
    found = _hash(current)
    if found == entry["sha256_before"]:
        return Undone(path)
    if found != entry["sha256_after"]:
        return Undone(path, "was changed since")
    if made:
        return _remove(path)
    before = b"".join(
        base64.b64decode(part) if isinstance(part, str) else current[part[0] : part[0] + part[1]]
        for part in entry["parts"]
    )
    if _hash(before) != entry["sha256_before"]:
        return Undone(path, "the undo file does not give back what was there")
    try:
        replace_file(path, before, over_image=True, keep_times=True)
    except DiskFullError:
        raise
    except StorageError as error:
        return Undone(path, error.message)
    return Undone(path)


def _remove(path: Path) -> Undone:
    try:
        with storage_errors(path):
            path.unlink(missing_ok=True)
    except StorageError as error:
        return Undone(path, error.message)
    return Undone(path)


def _parts(old: Sequence[bytes], new: Sequence[bytes]) -> list[Any]:
    places: dict[bytes, int] = {}
    place = 0
    for piece in new:
        places.setdefault(piece, place)
        place += len(piece)
    return [
        [places[piece], len(piece)] if piece in places else base64.b64encode(piece).decode()
        for piece in old
        if piece
    ]


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    complete = {"path", "sha256_before", "sha256_after", "parts"} <= set(entry)
                except (ValueError, TypeError):
                    continue  # half written: its image was not touched
                if complete:
                    yield entry
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
