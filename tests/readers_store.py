"""The bucket that the pages speak of, on a server of this machine."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow
import pytest
from pyarrow import parquet

from capgen.storage.drivers import forget_stores
from tests.readers_supplies import Supplies
from tests.s3_server import serving


@contextmanager
def stocked(supplies: Supplies, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let `s3://bucket/` be there while the block lasts."""
    work = supplies.root / "work"
    photos = {f"{path.name}": path.read_bytes() for path in (work / "photos").iterdir()}
    table = io.BytesIO()
    parquet.write_table(pyarrow.table({"path": [f"photos/{name}" for name in photos]}), table)
    with serving() as server:
        server.fill(
            "bucket",
            {f"photos/{name}": data for name, data in photos.items()}
            | {f"2024-05/day1/{name}": data for name, data in photos.items()}
            | {"photo.jpg": (work / "photo.jpg").read_bytes(), "list.parquet": table.getvalue()}
            | {"shards/0.tar": (work / "shard-000.tar").read_bytes()},
        )
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        forget_stores()
        yield
    forget_stores()
