"""Opening a file in any of the formats of caption records."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from capgen.config import NO_TAGS, CsvOptions, TagOptions
from capgen.output.base import DEFAULT_CSV, Write
from capgen.output.parquet import open_parquet
from capgen.output.records import open_json, open_jsonl
from capgen.output.tables import open_csv, open_text
from capgen.overwriting import TEXT_OR_DATA, check_output

_RECORDS = {"json": open_json, "jsonl": open_jsonl}


def open_format(
    path: Path,
    name: str,
    csv: CsvOptions = DEFAULT_CSV,
    tags: TagOptions = NO_TAGS,
    *,
    reviewed: bool = False,
) -> AbstractContextManager[Write]:
    """Open a file for records in the format `name` of `FORMATS`.

    JSON Lines grow during the run. All other files appear when the block ends without an
    exception, and an existing file stays until then. Whole records have concepts whatever `tags`
    says. Tables have columns of reviews, and all captions in JSON a review, only if `reviewed`.

    Raises:
        MissingDependencyError: Parquet without pyarrow.
        ProtectedFileError: `path` is an image or another file that must not be replaced.
        StorageError: The file cannot be written.
    """
    check_output(path, TEXT_OR_DATA)
    if name == "html":
        from capgen.output.gallery import open_gallery  # here: it imports numpy

        return open_gallery(path, tags)
    if name == "csv":
        return open_csv(path, csv, tags, reviewed=reviewed)
    if name == "parquet":
        return open_parquet(path, tags, reviewed=reviewed)
    return _RECORDS[name](path, reviewed=reviewed) if name in _RECORDS else open_text(path, tags)
