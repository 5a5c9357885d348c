"""Outputs in stores: written to a local copy first, and copied when they are complete.

Stores replace an object as a whole and append to none. So the file and its journal are in capgen's
data folder, in one named by the address, where the next run on this machine goes on. An object of
an earlier run, of any machine, is fetched first, as a local file would be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Self

from capgen.addresses import without_credentials
from capgen.errors import ProtectedFileError, StorageError
from capgen.file_types import HEAD_BYTES
from capgen.locks import Lock
from capgen.output.files import Target
from capgen.overwriting import TEXT_OR_DATA, check_head
from capgen.storage.attempts import StoreError
from capgen.storage.drivers import check_driver, same_object
from capgen.storage.reading import download, read_object, upload


def check_stored(targets: Sequence[Target], inputs: Iterable[str] = ()) -> None:
    """Check, before any work, that writing to stores loses nothing.

    Args:
        targets: The outputs.
        inputs: Addresses of inputs.

    Raises:
        ProtectedFileError: One would replace an input, or an object of another kind, or two are
            the same object.
        StoreError: A store does not let its object be looked at.
        MissingDependencyError: A store's driver is not installed.
    """
    known = {same_object(name): without_credentials(name) for name in inputs}
    taken = set[str]()
    for target in targets:
        if target.address is None:
            continue
        check_driver(target.address)
        place = same_object(target.address)
        if place in known:
            raise ProtectedFileError(
                f"-o {target.name} is an input: nothing is written to it",
                hint="Choose another name.",
            )
        if place in taken:
            raise ProtectedFileError(
                f"-o and -o both write {target.name}", hint="Choose another name for one of them."
            )
        taken.add(place)
        head = _head(target.address)
        check_head(f"-o {target.name}", head[:HEAD_BYTES], target.path.suffix, TEXT_OR_DATA)


class LocalCopies:
    """The local copies of outputs in stores, which no other run on this machine writes meanwhile.

    Args:
        targets: The outputs; those on disks are left out.
        fetch: Fetch what the stores have.

    Raises:
        StorageError: Another run is writing one.
        StoreError: A store does not give its object.
    """

    def __init__(self, targets: Iterable[Target], *, fetch: bool) -> None:
        self._stored = [target for target in targets if target.address is not None]
        self._locks = ExitStack()
        with ExitStack() as opening:
            for target in self._stored:
                lock = Lock(target.path.with_name(target.path.name + ".lock"))
                if not lock.take():
                    raise StorageError(
                        f"Another run is writing {target.name}",
                        hint="Wait for it, or choose another output.",
                    )
                opening.callback(lock.release)
                if fetch:
                    _fetch(target)
            self._locks = opening.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self, complete: Iterable[Target] = ()) -> None:
        """Let other runs write them; remove the copies of what the stores have in full."""
        for target in complete:
            if target in self._stored:
                target.path.unlink(missing_ok=True)
        self._locks.close()


def publish(target: Target) -> None:
    """Copy a finished output to its store, if it is of one.

    Raises:
        StoreError: The store does not take it. The local copy stays.
    """
    if target.address is not None:
        upload(target.path, target.address)


def _head(address: str) -> bytes:
    try:
        return read_object(address, HEAD_BYTES)
    except StoreError as error:
        if error.fault == "missing":
            return b""
        raise


def _fetch(target: Target) -> None:
    assert target.address is not None
    try:
        download(target.address, target.path)
    except StoreError as error:
        if error.fault != "missing":
            raise
