"""Images in Parquet files."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.sources import BytesSource, Source
from capgen.config import ImageLimits, InputOptions
from capgen.errors import DataError, ImageError
from tests.s3_server import S3Server, running_s3_server, s3_server

__all__ = ["running_s3_server", "s3_server"]


def table(path: Path, **columns: list[Any]) -> Path:
    parquet.write_table(pyarrow.table(columns), path, row_group_size=3)
    return path


def read(path: Path | str, *, column: str | None = None, **limits: int) -> list[Source]:
    options = InputOptions(path_column=column)
    return list(Inputs([str(path)], options, limits=ImageLimits(**limits)))


def content(source: Source) -> bytes | str:
    try:
        return source.read(ImageLimits(), Event())
    except ImageError as error:
        return error.code


def test_paths_start_from_the_folder(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", caption=["x"] * 2, image=["1.jpg", "s3://bucket/2.jpg"])

    assert [source.name for source in read(path)] == [str(tmp_path / "1.jpg"), "s3://bucket/2.jpg"]
    assert [source.name for source in Inputs([], manifest=path)] == [
        source.name for source in read(path)
    ]


def test_bytes_are_named_by_their_row(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", key=[1, 2, 3], jpg=[b"one", b"two!", None])

    sources = read(path, max_bytes=3)

    assert [source.name for source in sources] == [f"{path}/row-{number}" for number in range(3)]
    assert [content(source) for source in sources] == [b"one", "too_large", "malformed"]


def test_images_of_the_datasets_library(tmp_path: Path) -> None:
    cells = [
        {"bytes": b"one", "path": "a.jpg"},
        {"bytes": b"two", "path": None},
        {"bytes": None, "path": "c.jpg"},
        None,
    ]
    path = table(tmp_path / "a.parquet", label=[0] * 4, image=cells)

    sources = read(path)

    assert [source.name for source in sources] == [
        f"{path}/a.jpg",
        f"{path}/row-1",
        str(tmp_path / "c.jpg"),
        f"{path}/row-3",
    ]
    assert [content(source) for source in sources] == [b"one", b"two", "missing", "malformed"]


def test_a_stored_table_is_read_in_pieces(s3_server: S3Server, tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", jpg=[bytes([n]) * 100 for n in range(50)])
    s3_server.fill("bucket", {"set/a.parquet": path.read_bytes()})

    sources = read("s3://bucket/set/*.parquet")

    assert [content(source) for source in sources] == [bytes([n]) * 100 for n in range(50)]
    assert sources[7].name == "s3://bucket/set/a.parquet/row-7"


def test_the_column_may_be_named(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", first=[b"one"], second=[b"two"])

    (source,) = read(path, column="second")

    assert isinstance(source, BytesSource)
    assert source.data == b"two"
    with pytest.raises(DataError, match="no column of images"):
        read(path)
    with pytest.raises(DataError, match="no column 'third'"):
        read(path, column="third")


def test_what_is_not_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")

    with pytest.raises(DataError, match="is not a Parquet file"):
        read(tmp_path / "a.parquet")
