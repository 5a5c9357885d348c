"""Images in Parquet files: a column of paths and addresses, of bytes, or of both.

The `datasets` library keeps images as objects of `bytes` and `path`. Bytes of which the row gives
no path are named `FILE/row-N`, where N counts from 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capgen.addresses import without_credentials
from capgen.captioning.batch.sources import BytesSource, FailedSource, Source, named_source
from capgen.config import ImageLimits, InputOptions
from capgen.errors import DataError, ImageError, MissingDependencyError
from capgen.images.decoders import printable
from capgen.storage.reading import StoredFile
from capgen.tables.columns import image_column, named_column

# Rows in memory at a time: each may hold an image of several megabytes.
_ROWS = 16
_BUFFER_BYTES = 1 << 20


def read_parquet(place: Path | str, options: InputOptions, limits: ImageLimits) -> Iterator[Source]:
    """Return the images of a Parquet file, of which some rows are in memory at a time.

    Args:
        place: Its path, or its address in a store.
        options: Which column has the images, and from where they may be fetched.
        limits: Larger images become failures.

    Raises:
        DataError: It is not Parquet, or has no column of images.
        StoreError: The store does not give it.
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", purpose="Parquet") from error
    name = os.fspath(place) if isinstance(place, Path) else without_credentials(place)
    source = place if isinstance(place, Path) else StoredFile(place)
    try:
        file = parquet.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    except OSError as error:
        raise DataError(f"Cannot read {name}: {error.strerror or error}") from error
    except ArrowException as error:
        raise DataError(f"{name} is not a Parquet file, or is damaged") from error
    column = _image_column(name, file, options.path_column)
    return _rows(place, name, file, column, options, limits)


def _image_column(name: str, file: Any, given: str | None) -> str:
    """Return the column of images: by its name, or the only one that holds bytes."""
    from pyarrow import types

    kinds = {field.name: field.type for field in file.schema_arrow}
    holding = [
        column
        for column, kind in kinds.items()
        if types.is_binary(kind) or types.is_large_binary(kind) or types.is_struct(kind)
    ]
    if given is None:
        found = image_column([*kinds], {column: {} for column in holding})
        if found is None and len(holding) == 1:
            (found,) = holding
        if found is not None:
            return found
    return named_column(name, [*kinds], given)


def _rows(
    place: Path | str,
    name: str,
    file: Any,
    column: str,
    options: InputOptions,
    limits: ImageLimits,
) -> Iterator[Source]:
    from pyarrow import ArrowException

    base = place.parent if isinstance(place, Path) else place.rpartition("/")[0]
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_ROWS, columns=[column]):
            for cell in batch.column(0).to_pylist():
                yield _source(cell, name, number, base, options, limits)
                number += 1
    except (OSError, ArrowException) as error:
        text = f"{printable(name)}: it is damaged after row {number:,} ({printable(str(error))})"
        yield FailedSource(name, ImageError(text, code="unreadable"))


def _source(
    cell: Any,
    name: str,
    number: int,
    base: Path | str,
    options: InputOptions,
    limits: ImageLimits,
) -> Source:
    data, path = cell, None
    if isinstance(cell, dict):
        data, path = cell.get("bytes"), cell.get("path")
    if isinstance(data, bytes):
        label = f"{name}/{path or f'row-{number}'}"
        if len(data) <= limits.max_bytes:
            return BytesSource(label, data)
        text = f"{printable(label)}: larger than the limit of {limits.max_bytes:,} bytes"
        return FailedSource(label, ImageError(text, code="too_large"))
    image = path if isinstance(cell, dict) else data
    if isinstance(image, str) and image.strip():
        return named_source(image.strip(), base=base, allow_private=options.allow_private)
    place = f"{name}/row-{number}"
    return FailedSource(place, ImageError(f"{printable(place)}: no image", code="malformed"))
