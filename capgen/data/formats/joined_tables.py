"""Two tables that share a column: one names images, the other has the captions.

As in the IU X-ray collection on Kaggle: `indiana_projections.csv` (`uid`, `filename`) and
`indiana_reports.csv` (`uid`, `findings`). Each image of an id gets the captions of that id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from capgen.data.formats.archived_images import find_images
from capgen.data.formats.captioned_rows import RowReader, RowSource
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.formats.rows import head_of_table, names_captions, open_table
from capgen.data.formats.table import tables_in
from capgen.data.problems import Problem, Report
from capgen.errors import DataError
from capgen.tables.columns import IMAGE_NAMES, known_columns
from capgen.tables.rows import Row

DESCRIPTION = (
    "two tables with a column in common, one of images and one of captions, such as IU X-ray's "
    "projections and reports (`findings`)"
)


def joinable(root: Path) -> tuple[Path, Path, str] | None:
    """Return the table of images, that of captions, and their common column, if it is clear."""
    if not root.is_dir():
        return None
    heads = {path: head_of_table(path) for path in tables_in(root)}
    found = [
        (one, other, column)
        for one in heads
        if _names_images(heads[one]) and not names_captions(heads[one])
        for other in heads
        if names_captions(heads[other]) and not _names_images(heads[other])
        for column in heads[one].keys() & heads[other].keys()
    ]
    return found[0] if len(found) == 1 else None


def _names_images(cells: Mapping[str, Any]) -> bool:
    return bool(known_columns(list(cells), IMAGE_NAMES))


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    found = joinable(root)
    if found is None:
        raise DataError(
            f"No two tables in {root} with one column in common, of images and of captions"
        )
    images_table, captions_table, key = found
    images, home = find_images(root, options, report)
    collector = Collector(report)
    captions = _captions(captions_table, key, report)
    reader = RowReader(images=images, options=options, collector=collector, report=report)
    reader.read(RowSource(file=images_table, rows=_joined(images_table, key, captions, report)))
    return collector.reading(images=images.paths, home=home)


def _captions(path: Path, key: str, report: Report) -> dict[str, Mapping[str, Any]]:
    """Return the cells of the table of captions by id."""
    captions: dict[str, Mapping[str, Any]] = {}
    for row in open_table(path, report).rows:
        fault = row.fault
        name = str(row.cells.get(key, "")).strip()
        if not fault and name in captions:
            fault = f"{key} {name} comes twice"
        if fault:
            report(Problem(code="malformed_line", message=fault, file=path, line=row.line))
            continue
        captions[name] = row.cells
    return captions


def _joined(
    path: Path, key: str, captions: Mapping[str, Mapping[str, Any]], report: Report
) -> Iterator[Row]:
    for row in open_table(path, report).rows:
        if row.fault:
            yield row
            continue
        name = str(row.cells.get(key, "")).strip()
        if name in captions:
            yield Row(line=row.line, cells={**captions[name], **row.cells})
        else:
            message = f"{key} {name} has no captions"
            report(Problem(code="captions_unread", message=message, file=path, line=row.line))
