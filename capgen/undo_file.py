"""The undo file: how to restore changed images and sidecars byte for byte.

One line per change, written before the file is replaced: the hashes before and after, and the
old file as parts, each either a range of the new file or bytes of its own. A file that was
created has no hash before; undoing removes it. Besides its absolute path a change has the one
from the undo file, for files that are moved or copied together with it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from capgen.errors import DataError, StorageError
from capgen.overwriting import OWN_UNDO, check_output
from capgen.paths import check_place, storage_errors
from capgen.records import SCHEMA_VERSION

_KEYS = {"path", "sha256_before", "sha256_after", "parts"}


class UndoFile:
    """Records changes in a file, after those of earlier runs.

    Raises:
        ProtectedFileError: `path` is a file that is not an undo file.
        StorageError: `path` is a folder or a pipe, or may not be read or written.
    """

    def __init__(self, path: Path) -> None:
        check_place(path)
        check_output(path, OWN_UNDO)
        if path.is_fifo() or path.is_socket():  # nothing could be read from it again
            raise StorageError(
                f"Cannot write {path}: it is not a regular file",
                hint="--undo-file names another place for it.",
            )
        if path.parent.is_dir() and not os.access(path if path.exists() else path.parent, os.W_OK):
            raise StorageError(
                f"Not allowed to write {path}", hint="--undo-file names another place for it."
            )
        self.path = path
        # Hash of each changed file → its hash before any change, as in the journal, the caption
        # that was written into it, and the keywords that it has and no person wrote.
        self.originals: dict[str, str] = {}
        self.captions: dict[str, str] = {}
        self.keywords: dict[str, tuple[str, ...]] = {}
        # Those of the hashes whose caption a person accepted or wrote.
        self._reviewed: set[str] = set()
        # File that was created → its hash, and whether it has such a caption.
        self._created: dict[str, tuple[str, bool]] = {}
        if path.is_file():
            for _, entry in read_entries(path):
                if entry is not None:
                    self._note(entry)

    def record(
        self,
        path: Path,
        old: Sequence[bytes] | None,
        new: Sequence[bytes],
        *,
        caption: str | None = None,
        reviewed: bool = False,
        keywords: Sequence[str] = (),
    ) -> None:
        """Write down how to make the file of pieces `old` from that of pieces `new`.

        Args:
            path: The file that is about to be written.
            old: Its content, or None if it does not exist.
            new: Its new content.
            caption: The caption that an image or XMP has from now on, if capgen wrote it.
            reviewed: Whether a person accepted the caption, or wrote it.
            keywords: All keywords that it has from now on and no person wrote.
        """
        entry = {
            "schema_version": SCHEMA_VERSION,
            "path": _absolute(path),
            "sha256_before": None if old is None else sha256_of(b"".join(old)),
            "sha256_after": sha256_of(b"".join(new)),
            "parts": _parts(old or (), new),
        }
        if caption is not None:
            entry["caption"] = caption
        if reviewed:
            entry["reviewed"] = True
        if keywords:
            entry["keywords"] = list(keywords)
        with suppress(ValueError):  # on another drive of Windows
            entry["relative_path"] = os.path.relpath(_absolute(path), self.path.parent)
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read() != b"\n":  # a killed run left half a line
                        file.write(b"\n")
                file.write(json.dumps(entry).encode() + b"\n")
                file.flush()
                if old is not None:  # otherwise nothing can be lost
                    os.fsync(file.fileno())
        self._note(entry)

    def keywords_of(self, content: bytes | None) -> tuple[str, ...]:
        """Return the keywords in a file that no person wrote, as far as it is known."""
        return () if content is None else self.keywords.get(sha256_of(content), ())

    def caption_of(self, content: bytes | None, *, reviewed: bool) -> str | None:
        """Return the caption in a file that capgen wrote and may replace, if there is one.

        Args:
            content: The file.
            reviewed: Whether a person stands for the caption that is to replace it. One that no
                person has seen does not replace one that a person accepted or wrote.
        """
        digest = sha256_of(content or b"")
        return None if digest in self._reviewed and not reviewed else self.captions.get(digest)

    def is_reviewed(self, content: bytes | None) -> bool:
        """Whether a person accepted or wrote the caption in a file."""
        return sha256_of(content or b"") in self._reviewed

    def mark_reviewed(self, path: Path, content: bytes) -> None:
        """Note that a person stands for the caption that a file has, if capgen wrote it."""
        digest = sha256_of(content)
        unseen = digest in self.captions and digest not in self._reviewed
        if unseen or self.may_replace(path, content, reviewed=False):
            caption, keywords = self.captions.get(digest), self.keywords.get(digest, ())
            self.record(
                *(path, [content], [content]), caption=caption, reviewed=True, keywords=keywords
            )

    def may_replace(self, path: Path, content: bytes, *, reviewed: bool) -> bool:
        """Whether a file is as capgen left it and was not there before; `reviewed` as above."""
        made, by_person = self._created.get(_absolute(path), ("", False))
        return made == sha256_of(content) and (reviewed or not by_person)

    def _note(self, entry: dict[str, Any]) -> None:
        before, after, path = entry["sha256_before"], str(entry["sha256_after"]), entry["path"]
        reviewed = bool(entry.get("reviewed"))
        _note_original(self.originals, entry)
        if "caption" in entry:
            self.captions[after] = str(entry["caption"])
            (self._reviewed.add if reviewed else self._reviewed.discard)(after)
        for name in {path, path_beside(entry, self.path.parent)} if isinstance(path, str) else ():
            known = self._created.get(name)
            if before is None or (known is not None and known[0] == before):
                self._created[name] = after, reviewed
        if isinstance(entry.get("keywords"), list):
            self.keywords[after] = tuple(map(str, entry["keywords"]))


def known_originals(path: Path) -> dict[str, str]:
    """Return what `UndoFile.originals` is; empty if there is no undo file at a path.

    Raises:
        DataError: The file cannot be read.
    """
    known: dict[str, str] = {}
    if path.is_file():
        for _, entry in read_entries(path):
            if entry is not None:
                _note_original(known, entry)
    return known


def _note_original(originals: dict[str, str], entry: dict[str, Any]) -> None:
    before = entry["sha256_before"]
    if before is not None:
        originals[str(entry["sha256_after"])] = originals.get(str(before), str(before))


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


def joined_parts(parts: Any, current: bytes) -> bytes | None:
    """Return the old file, made of parts and the new file; None if the parts are damaged."""
    try:
        return b"".join(
            base64.b64decode(part)
            if isinstance(part, str)
            else current[part[0] : part[0] + part[1]]
            for part in parts
        )
    except (TypeError, ValueError, LookupError):
        return None


def is_path(path: Any) -> bool:
    """Whether a value of an entry can be the path of a file."""
    if not isinstance(path, str) or "\0" in path:
        return False
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def read_entries(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield each entry with the number of its line; None for one that cannot be parsed."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # incomplete, so its file was not changed
                except RecursionError:
                    yield number, None
                    continue
                if isinstance(entry, dict) and set(entry) >= _KEYS:
                    yield number, entry
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error


def path_beside(entry: Mapping[str, Any], folder: Path) -> str:
    """Return the path of an entry's file if its place from the undo file's folder is as it was."""
    relative = entry.get("relative_path")
    if isinstance(relative, str) and is_path(relative):
        return _absolute(folder / relative)
    return str(entry["path"])


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (keeps links)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
