"""What the browser knows a file of records by.

What it keeps, such as drafts and decisions that are not saved yet, belongs to an address with its
port. So that the next review finds it, a file has the same key and the same port each time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

# Systems give programs ports from 32768 on; below 20000 are those of many services.
_FIRST_PORT = 20_000
_PORTS = 12_000
_TRIED = 10


def file_key(records: Path) -> str:
    """Return what names a file of records on this machine."""
    return hashlib.sha256(os.fsencode(records.resolve())).hexdigest()[:32]


def ports(records: Path) -> Sequence[int]:
    """Return the ports for the review of a file, in the order in which to try them."""
    first = int(file_key(records)[:8], 16)
    return [_FIRST_PORT + (first + step) % _PORTS for step in range(_TRIED)]
