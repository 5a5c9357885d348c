"""The files that one run writes: which they are, and how they are written side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from capgen.addresses import is_stored, without_credentials
from capgen.errors import StorageError, UsageError
from capgen.output.base import FORMATS, IMAGE_FOLDER, Format, format_of, suffix_format
from capgen.paths import unfinished_dir
from capgen.storage.drivers import same_object, scheme_of

Item = TypeVar("Item")
# The file of an image folder that has the captions.
METADATA = "metadata.jsonl"
# Opens a file for the length of a block.
Open = Callable[["Target"], AbstractContextManager[Callable[[Item], None]]]


@dataclass(frozen=True)
class Target:
    """A file to write.

    Attributes:
        path: The file; of an image folder its `metadata.jsonl`; of an object in a store its local
            copy.
        format: A key of `FORMATS`, or `IMAGE_FOLDER`.
        address: The object's address, or None for a file.
    """

    path: Path
    format: str
    address: str | None = None

    @property
    def name(self) -> str:
        """Its name for messages."""
        return str(self.path) if self.address is None else without_credentials(self.address)

    @property
    def kind(self) -> Format:
        return FORMATS.get(self.format, Format(()))

    @property
    def is_image_folder(self) -> bool:
        return self.format == IMAGE_FOLDER


def targets_of(paths: Sequence[Path | str], asked: str | None) -> tuple[Target, ...]:
    """Return the files to write, each in the format of its suffix.

    Args:
        paths: The files, addresses of objects in stores, or folders of image folders.
        asked: Format of the only file; of several, of those whose suffix tells none.

    Raises:
        UsageError: A format is not known, or none was asked for where it is needed, or all
            suffixes tell another one.
    """
    targets = tuple(_target(path, asked, alone=len(paths) == 1) for path in paths)
    if asked is not None and paths and asked not in (target.format for target in targets):
        format_of(Path(paths[0]), asked)  # refuses what is no format
        raise UsageError(
            f"--format {asked}: each -o has a suffix that says something else",
            hint="Leave out --format, or name a file or folder without such a suffix.",
        )
    return targets


def _target(place: Path | str, asked: str | None, *, alone: bool) -> Target:
    if is_stored(str(place)):
        return _stored(str(place), asked, alone=alone)
    path = Path(place)
    told = suffix_format(path)
    undecided = told is None or (asked == IMAGE_FOLDER and path.name == METADATA)
    form = format_of(path, asked if alone or undecided else told)
    if form == IMAGE_FOLDER and path.name != METADATA:
        path = path / METADATA
    return Target(path, form)


def _stored(address: str, asked: str | None, *, alone: bool) -> Target:
    path = _local_copy(address)
    told = suffix_format(path)
    if told is None and asked is None:
        shown = without_credentials(address)
        known = ", ".join(known.suffixes[0] for known in FORMATS.values())
        raise UsageError(f"-o {shown}: its name must end with one of {known}")
    form = format_of(path, asked if alone or told is None else told)
    if form == IMAGE_FOLDER:
        raise UsageError(
            "--format imagefolder needs a folder on this machine",
            hint="Copy it to the store afterwards.",
        )
    return Target(path, form, address)


def _local_copy(address: str) -> Path:
    """Return where the copy of an output is while it is written.

    Raises:
        UsageError: The address is of a local file.
    """
    if scheme_of(address) in ("file", "local"):
        raise UsageError(
            f"-o {without_credentials(address)}: capgen writes local files by their path",
            hint="Leave out file://.",
        )
    key = hashlib.sha256(same_object(address).encode()).hexdigest()[:16]
    return unfinished_dir() / "outputs" / key / address.rstrip("/").rpartition("/")[2]


def journaled(targets: Sequence[Target]) -> Target | None:
    """Return the file whose journal a run goes on from: the first with whole records."""
    whole = [target for target in targets if target.kind.holds_records]
    return next(iter((*whole, *targets)), None)


class OutputFiles(Generic[Item]):
    """Writes items to several files. One that cannot be written does not stop the others.

    Args:
        targets: The files.
        open_target: Opens one of them.
        on_failure: Is told of each that failed, unless the last one does, which raises its error.

    Attributes:
        failed: What could not be written, and why.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        open_target: Open[Item],
        on_failure: Callable[[Target, StorageError], None] = lambda target, error: None,
    ) -> None:
        self._targets = tuple(targets)
        self._open_target = open_target
        self._on_failure = on_failure
        self._open: dict[Target, tuple[ExitStack, Callable[[Item], None]]] = {}
        self.failed: dict[Target, StorageError] = {}

    def __enter__(self) -> Self:
        """Open all files.

        Raises:
            CapgenError: One cannot be opened. Then the others stay as they were.
        """
        with ExitStack() as opening:
            # Last what is emptied when it is opened, after all that may be refused.
            for target in sorted(self._targets, key=lambda target: target.format == "jsonl"):
                stack = opening.enter_context(ExitStack())
                write = stack.enter_context(self._open_target(target))
                self._open[target] = stack, write
            opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the files, or leave those that appear at the end as they were."""
        for target in list(self._open):
            problem = self._close(target, error)
            if problem is not None and error is None:  # else the run's own end is told
                self._failed(target, problem)

    def write(self, item: Item) -> None:
        """Write an item to all files that are left.

        Raises:
            StorageError: None is left.
        """
        for target, (_, write) in list(self._open.items()):
            try:
                write(item)
            except (StorageError, OSError) as error:
                # What opened the file makes a StorageError of a full disk.
                problem = self._close(target, error) or error
                if not isinstance(problem, StorageError):
                    raise
                self._failed(target, problem)

    def _close(self, target: Target, error: BaseException | None) -> StorageError | None:
        """Close a file, after an error or at the end; return what that raised."""
        stack, _ = self._open.pop(target)
        try:
            stack.__exit__(
                type(error) if error else None, error, getattr(error, "__traceback__", None)
            )
        except StorageError as problem:
            return problem
        return None

    def _failed(self, target: Target, problem: StorageError) -> None:
        self.failed[target] = problem
        if len(self.failed) == len(self._targets):
            raise problem
        self._on_failure(target, problem)
