"""The order in which a random sample of images is reviewed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from capgen.records import Record
from capgen.reviews.journal import ImageKey


def sample_order(records: Sequence[Record | ImageKey]) -> list[int]:
    """Return the places of records in random order, the same on every machine and in every run.

    Images are ordered by the SHA-256 of their path and their bytes' hash. What comes first is a
    random sample: neither order nor captions of the file decide it, and more of the same order
    extends the sample. Equal images (the same path and bytes twice) keep their order.

    Args:
        records: Records or their keys, in the order of their file.
    """
    keys = [_key(record) for record in records]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _key(record: Record | ImageKey) -> bytes:
    # JSON keeps a path apart from the hash, and has a form for names that are not valid text.
    return hashlib.sha256(json.dumps([record.path, record.sha256]).encode()).digest()
