"""A function from batches of rows to batches of records, for engines such as Spark and Dask."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar, Unpack

from capgen.addresses import is_stored
from capgen.captioning.batch.pipeline import BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import Source
from capgen.captioning.runtimes.cores import lanes_and_threads
from capgen.config import BatchOptions, DecodeOptions, ImageLimits, InputOptions, ModelOptions
from capgen.config.keywords import DecodeKeywords, ModelKeywords
from capgen.distributed.batch_columns import ColumnBatch, column_batch
from capgen.distributed.loaded_captioners import CAPTIONERS
from capgen.distributed.row_images import RowImages
from capgen.errors import MissingDependencyError, UsageError, did_you_mean
from capgen.known_fields import from_known_fields
from capgen.output.typed_rows import column_types, typed_row
from capgen.records import Record

_Batch = TypeVar("_Batch")

PATH_COLUMN = "path"
# Reading and decoding an image takes about as long as captioning it, and from afar longer.
_READERS = 4
_SPARK = {"string": "string", "float64": "double", "int64": "long"}


class BatchKeywords(DecodeKeywords, ModelKeywords, total=False):
    """What else `CaptionBatches` takes: how to decode, which model, and how to read."""

    batch_size: int | None
    workers: int | None
    max_pixels: int
    max_bytes: int
    accept_truncated: bool
    allow_private: bool


class CaptionBatches:
    """Captions batches of rows; a function that can be pickled and sent to other processes.

    It holds settings only. Each process loads the model at its first batch and keeps it until it
    ends, so a model that was trained again under the same name needs new workers. The model, and
    local paths, must be on every machine.

    A batch is a pandas DataFrame, a Table or RecordBatch of pyarrow, or a dict of numpy arrays.
    What is returned has the same form, with one row for each row of the batch, in order: the
    columns of `keep`, then those of a Parquet file of `capgen caption`. An image without a caption
    has an `error_code`. An iterator of batches gives an iterator.

    Args:
        model: As for `Captioner.from_pretrained`.
        path: The column of paths and addresses, which also name the images in records; "path" if
            neither this nor `image` is given.
        image: The column of images: the bytes of their files, or structs of `bytes` and `path`.
        keep: The columns to return before the record's.
        base: The folder that relative paths start from, on every machine, or an address in a
            store; by default the working directory of the worker.
        threads: Cores that one call computes on. Engines run a task per core, so it is 1; give it
            what a task has (`spark.task.cpus` or `nthreads`).
        **options: Fields of `DecodeOptions` and `capgen.config.ModelOptions` (`beams=5`,
            `device="cuda"`, …), and `batch_size`, `workers` (threads that read; four for each of
            `threads`), `max_pixels`, `max_bytes`, `accept_truncated` and `allow_private`.

    Raises:
        UsageError: An option is unknown or out of its range, or a column cannot be kept.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        path: str | None = None,
        image: str | None = None,
        keep: Sequence[str] = (),
        base: str | os.PathLike[str] | None = None,
        threads: int = 1,
        **options: Unpack[BatchKeywords],
    ) -> None:
        if threads < 1:
            raise UsageError(f"threads is {threads}; it must be at least 1")
        self._path = path if path is not None or image is not None else PATH_COLUMN
        self._image = image
        self._keep = _kept(keep)
        known = BatchKeywords.__optional_keys__
        for name in options:
            if name not in known:
                raise UsageError(f"Unknown option '{name}'", hint=did_you_mean(name, known))
        self._model = from_known_fields(
            ModelOptions, {**options, "model": None if model is None else os.fspath(model)}
        )
        lanes, self._threads = lanes_and_threads(None, None, threads)
        self._run = BatchRun(
            decoding=from_known_fields(DecodeOptions, options),
            options=from_known_fields(BatchOptions, {"workers": _READERS * threads, **options}),
            limits=from_known_fields(ImageLimits, options),
            lanes=lanes,
        )
        self._images = RowImages(
            columns=" and ".join(f"column '{name}'" for name in self._columns),
            base=_folder(base),
            allow_private=from_known_fields(InputOptions, options).allow_private,
        )

    @property
    def _columns(self) -> list[str]:
        return [name for name in (self._path, self._image) if name is not None]

    @property
    def schema(self) -> Any:
        """The pyarrow.Schema of the records' columns, without those of `keep`."""
        return _pyarrow().schema(list(column_types().items()))

    def spark_schema(self, frame: Any) -> Any:
        """Return the schema of what comes of a Spark DataFrame, for `mapInPandas` and `mapInArrow`.

        Raises:
            UsageError: It lacks one of the columns.
        """
        self._check(frame.schema.names)
        schema = type(frame.schema)([frame.schema[name] for name in self._keep])
        for name, kind in column_types().items():
            schema = schema.add(name, _SPARK[kind])
        return schema

    def meta(self, frame: Any) -> Any:
        """Return an empty DataFrame like what comes of a Dask or pandas DataFrame, as Dask asks.

        Raises:
            UsageError: It lacks one of the columns.
        """
        return self(getattr(frame, "_meta", frame).iloc[:0])

    def struct_array(self, *columns: Any) -> Any:
        """Caption columns instead of a batch, for engines whose functions get those, such as Daft.

        Args:
            *columns: The column `path`, the column `image`, or both, in this order, as pyarrow
                Arrays or what has `to_arrow()`.

        Returns:
            A pyarrow.StructArray with the fields of `schema`.

        Raises:
            UsageError: These are more columns, or fewer.
        """
        if len(columns) != len(self._columns):
            names = ", ".join(self._columns)
            raise UsageError(f"struct_array takes {len(self._columns)} columns: {names}")
        arrays = [each.to_arrow() if hasattr(each, "to_arrow") else each for each in columns]
        return self(_pyarrow().record_batch(arrays, self._columns)).to_struct_array()

    def __call__(self, batch: _Batch) -> _Batch:
        """Caption the images of a batch, or of each batch of an iterator.

        Raises:
            UsageError: The batch lacks one of the columns, or is of another form.
            CapgenError: The model cannot be loaded; see `Captioner.from_pretrained`.
        """
        if isinstance(batch, Iterator):
            return map(self, batch)  # type: ignore[return-value]
        rows = column_batch(batch)
        if rows is None:
            raise UsageError(
                f"CaptionBatches captions batches of rows, not {type(batch).__name__}",
                hint="A batch is a pandas DataFrame, a Table or RecordBatch of pyarrow, or a dict "
                "of arrays. Engines call the function, as in df.mapInPandas(captions, schema).",
            )
        self._check(rows.names)
        types = column_types()
        made = [typed_row(record) for record in self._records(rows)]
        columns = {name: [row[name] for row in made] for name in types}
        return rows.with_columns(self._keep, columns, types)  # type: ignore[no-any-return]

    def _records(self, rows: ColumnBatch) -> list[Record]:
        """Return a record for each row, in order; without rows no model is loaded."""
        if not rows.rows:
            return []
        with CAPTIONERS.using(self._model, self._threads) as captioner:
            run = self._run if captioner.runtime.name == "onnx" else replace(self._run, lanes=1)
            with closing(caption_all(captioner, self._sources(rows), run)) as events:
                records = [event.record for event in events if isinstance(event, ImageDone)]
        return [replace(record, path=record.path or None) for record in records]

    def _sources(self, rows: ColumnBatch) -> Iterator[Source]:
        nothing = repeat(None, rows.rows)
        paths = nothing if self._path is None else rows.cells(self._path)
        images = nothing if self._image is None else rows.cells(self._image)
        return map(self._images.source, paths, images)

    def _check(self, names: Sequence[Any]) -> None:
        """Raise UsageError unless each column that is needed is among the names once."""
        for name in (*self._columns, *self._keep):
            count = list(names).count(name)
            if count != 1:
                what = f"{count} columns" if count else "no column"
                there = ", ".join(map(str, names)) or "none"
                raise UsageError(f"The batch has {what} '{name}'", hint=f"Its columns: {there}")


def _kept(names: Sequence[str]) -> tuple[str, ...]:
    """Check the columns to keep, and return them."""
    if isinstance(names, str):
        raise UsageError(f"keep is {names!r}; it must be a list of columns")
    for name in names:
        if name in column_types():
            raise UsageError(
                f"The column '{name}' cannot be kept: records have one of that name",
                hint="Rename it first."
                if name != PATH_COLUMN
                else "The record has the path, and with `base` the whole one; or rename it first.",
            )
    return tuple(dict.fromkeys(names))


def _folder(base: str | os.PathLike[str] | None) -> Path | str | None:
    """Return a folder, or an address in a store without a slash at its end."""
    if isinstance(base, str) and is_stored(base):
        return base.rstrip("/")
    return None if base is None else Path(base)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", purpose="Arrow") from error
    return pyarrow
