"""Undoes the changes of an undo file, the latest first."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.errors import DataError, DiskFullError, StorageError
from capgen.file_types import HEAD_BYTES
from capgen.overwriting import OWN_UNDO, real_place
from capgen.paths import replace_file, storage_errors
from capgen.temporary_files import remove_leftovers
from capgen.undo_file import is_path, joined_parts, path_beside, read_entries, sha256_of

_CHANGED = "was changed since"


@dataclass(frozen=True)
class Undone:
    """The result for one change.

    Attributes:
        path: The file.
        problem: Why it was not restored, or an empty string.
        before: Whether it had been undone before.
        removed: Whether the file was removed, because the change had made it.
    """

    path: Path
    problem: str = ""
    before: bool = False
    removed: bool = False


def undo(path: Path, *, dry_run: bool = False) -> Iterator[Undone]:
    """Undo all changes of an undo file, the latest first.

    Files that something else has changed since are left alone. A damaged entry is a problem of the
    undo file, and does not keep the others from being undone.

    Args:
        path: The undo file.
        dry_run: Change nothing, but tell what would be undone.

    Raises:
        DataError: The file cannot be read, or is another file.
        DiskFullError: No space is left.
    """
    swept: set[Path] = set()
    later: list[tuple[Path, dict[str, Any]]] = []
    entries = list(read_entries(path))
    if not entries and not _is_undo_file(path):
        raise DataError(
            f"{path} is not an undo file",
            hint="Give the one that capgen wrote, which is capgen-undo.jsonl if nothing else "
            "was asked for.",
        )
    _follow_moves(entries, path.parent)
    earlier, files = _states_before(entries), _Files(dry_run=dry_run)
    for number, entry in reversed(entries):
        if entry is None or not is_path(entry["path"]):
            what = "it is nested too deeply" if entry is None else "its path cannot be a file's"
            yield Undone(path, f"line {number} is damaged: {what}")
            continue
        file = Path(entry["path"])
        place = real_place(file)  # one file may have two names, through links
        folder = Path(place).parent
        if folder not in swept and not dry_run:
            swept.add(folder)
            remove_leftovers(folder)
        undone = _undo_one(files, file, entry)
        if undone.problem and _is_older(files, file, entry, earlier[place]):
            yield Undone(file, before=True)
        elif undone.problem == _CHANGED:  # perhaps by a run at the same time, whose entry follows
            later.append((file, entry))
        else:
            yield undone
    for file, entry in later:
        yield _undo_one(files, file, entry)


class _Files:
    """The files to restore; in a dry run, as they would be by then."""

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._undone: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def read(self, path: Path) -> tuple[str | None, bytes | None]:
        """Return a file's hash and its bytes, or None for both if there is no file.

        Raises:
            OSError: It cannot be read.
        """
        undone = self._undone.get(real_place(path), ())
        if undone and undone[-1]["sha256_before"] is None:
            return None, None
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None, None
        for entry in undone:  # rather than the bytes of many images, their changes are kept
            content = joined_parts(entry["parts"], content) or b""
        return sha256_of(content), content

    def put(self, path: Path, content: bytes | None, entry: dict[str, Any]) -> None:
        """Write what a file was before a change, or remove one that was not there."""
        if self._dry_run:
            self._undone[real_place(path)].append(entry)
        elif content is None:
            with storage_errors(path):
                path.unlink(missing_ok=True)
        else:
            replace_file(path, content, over_image=True, keep_times=True)


def _states_before(
    entries: Sequence[tuple[int, dict[str, Any] | None]],
) -> dict[str, dict[str, str | None]]:
    """Return for each file: hash after a change → hash before it; None is a missing file."""
    states: dict[str, dict[str, str | None]] = defaultdict(dict)
    for _, entry in entries:
        if entry is not None and is_path(entry["path"]):
            before = entry["sha256_before"]
            known = states[real_place(Path(entry["path"]))]
            known[str(entry["sha256_after"])] = None if before is None else str(before)
    return states


def _is_older(
    files: _Files, path: Path, entry: dict[str, Any], earlier: Mapping[str, str | None]
) -> bool:
    """Whether a file is as it was before an earlier change than that of `entry`."""
    try:
        current, _ = files.read(path)
    except OSError:
        return False
    before = entry["sha256_before"]
    state, seen = None if before is None else str(before), set[str | None]()
    while state != current:
        if state is None or state not in earlier or state in seen:
            return False
        seen.add(state)
        state = earlier[state]
    return True


def _undo_one(files: _Files, path: Path, entry: dict[str, Any]) -> Undone:
    try:
        digest, current = files.read(path)
    except OSError as error:
        return Undone(path, error.strerror or "cannot be read")
    before, restored = entry["sha256_before"], None
    if digest == before:
        return Undone(path, before=True)
    if digest is None:
        return Undone(path, os.strerror(errno.ENOENT))
    if digest != entry["sha256_after"]:
        return Undone(path, _CHANGED)
    if before is not None:
        restored = joined_parts(entry["parts"], current or b"")
        if restored is None or sha256_of(restored) != before:
            return Undone(path, "the undo file does not restore the original")
    try:
        files.put(path, restored, entry)
    except DiskFullError:
        raise
    except StorageError as error:
        return Undone(path, error.message)
    return Undone(path, removed=before is None)


def _is_undo_file(path: Path) -> bool:
    """Whether a file that can be read is one, or empty, or what a killed run left of one."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return not head or OWN_UNDO.holds(head)


def _follow_moves(entries: Iterable[tuple[int, dict[str, Any] | None]], folder: Path) -> None:
    """Put the paths from an undo file's folder for the absolute ones, if files were moved with it.

    In a copy, all files are the copy's, and none the original's. If nothing is where the paths
    from the folder lead, only the undo file was moved, and the files are where they were.
    """
    moved = [
        (entry, path_beside(entry, folder))
        for _, entry in entries
        if entry is not None and is_path(entry["path"])
    ]
    if any(here != entry["path"] and Path(here).exists() for entry, here in moved):
        for entry, here in moved:
            entry["path"] = here
