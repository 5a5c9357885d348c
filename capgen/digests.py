"""Hashes of files: SHA-256 in hexadecimal digits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from capgen.errors import CapgenError


def file_digest(file: Path, fault: type[CapgenError], algorithm: str = "sha256") -> str:
    """Return the hash of a file's content.

    Args:
        file: The file.
        fault: The error to raise if it cannot be read.
        algorithm: Its name in `hashlib`. MD5 only serves for published checksums, against damage.
    """
    try:
        with file.open("rb") as stream:
            new = hashlib.new(algorithm, usedforsecurity=False)
            return hashlib.file_digest(stream, lambda: new).hexdigest()
    except OSError as error:
        raise fault(f"Cannot read {file}: {error.strerror}") from error


def files_digest(files: Iterable[Path], fault: type[CapgenError]) -> str:
    """Return one SHA-256 for the contents of several files, in this order."""
    total = hashlib.sha256()
    for file in files:
        total.update(bytes.fromhex(file_digest(file, fault)))
    return total.hexdigest()
