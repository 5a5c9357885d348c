"""Batches of rows as the engines have them: read by column, and returned in the same form.

pandas and pyarrow are not imported: whoever has a batch of theirs has loaded them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

# The values of a column, None for nulls.
Cells = Sequence[Any]
# By Arrow's name of a type. Missing numbers are NaN where they are floats.
_PANDAS = {"string": "string", "float64": "float64", "int64": "Int64"}
_NUMPY = {"string": object, "float64": np.float64, "int64": object}


class ColumnBatch(Protocol):
    """A batch of rows."""

    @property
    def names(self) -> list[Any]:
        """The names of its columns, in order."""
        ...

    @property
    def rows(self) -> int:
        """The number of its rows."""
        ...

    def cells(self, name: str) -> Iterator[object]:
        """Yield the values of a column, None for nulls."""
        ...

    def with_columns(
        self, keep: Sequence[str], columns: Mapping[str, Cells], types: Mapping[str, str]
    ) -> Any:
        """Return a batch of the same form.

        Args:
            keep: The columns of this batch to take over.
            columns: The columns that follow, by name.
            types: Arrow's names of their types: `string`, `float64` or `int64`.
        """
        ...


def column_batch(batch: Any) -> ColumnBatch | None:
    """Return a batch for reading by column, or None if it is of no known form."""
    pandas, pyarrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    if pandas is not None and isinstance(batch, pandas.DataFrame):
        return PandasBatch(batch)
    if pyarrow is not None and isinstance(batch, pyarrow.Table | pyarrow.RecordBatch):
        return ArrowBatch(batch)
    if isinstance(batch, Mapping):
        return ArrayBatch(batch)
    return None


@dataclass(frozen=True)
class PandasBatch:
    """A DataFrame. Its index stays."""

    frame: Any

    @property
    def names(self) -> list[Any]:
        return list(self.frame.columns)

    @property
    def rows(self) -> int:
        return len(self.frame)

    def cells(self, name: str) -> Iterator[object]:
        column = self.frame[name]
        for cell, missing in zip(column, column.isna(), strict=True):
            yield None if missing else cell

    def with_columns(
        self, keep: Sequence[str], columns: Mapping[str, Cells], types: Mapping[str, str]
    ) -> Any:
        pandas = sys.modules["pandas"]
        added = {
            name: pandas.array(np.array(cells, _NUMPY[types[name]]), dtype=_PANDAS[types[name]])
            for name, cells in columns.items()
        }
        return self.frame[list(keep)].assign(**added)


@dataclass(frozen=True)
class ArrowBatch:
    """A Table or RecordBatch of pyarrow."""

    table: Any

    @property
    def names(self) -> list[Any]:
        return list(self.table.schema.names)

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    def cells(self, name: str) -> Iterator[object]:
        # One by one: all images at once would be a second copy of them.
        return (cell.as_py() for cell in self.table.column(name))

    def with_columns(
        self, keep: Sequence[str], columns: Mapping[str, Cells], types: Mapping[str, str]
    ) -> Any:
        pyarrow = sys.modules["pyarrow"]
        fields = [*(self.table.schema.field(name) for name in keep), *types.items()]
        kept = [self.table.column(name) for name in keep]
        added = [pyarrow.array(cells, types[name]) for name, cells in columns.items()]
        return type(self.table).from_arrays([*kept, *added], schema=pyarrow.schema(fields))


@dataclass(frozen=True)
class ArrayBatch:
    """A dict of arrays by column, as Ray Data has; missing text and whole numbers are None."""

    arrays: Mapping[str, Any]

    @property
    def names(self) -> list[Any]:
        return list(self.arrays)

    @property
    def rows(self) -> int:
        return len(next(iter(self.arrays.values()), ()))

    def cells(self, name: str) -> Iterator[object]:
        for cell in self.arrays[name]:
            yield None if isinstance(cell, float) and np.isnan(cell) else cell

    def with_columns(
        self, keep: Sequence[str], columns: Mapping[str, Cells], types: Mapping[str, str]
    ) -> Any:
        kept = {name: self.arrays[name] for name in keep}
        added = {name: np.array(cells, _NUMPY[types[name]]) for name, cells in columns.items()}
        return {**kept, **added}
