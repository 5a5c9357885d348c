"""The file formats of caption records: names, suffixes, and how to open each."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from capgen.config import CsvOptions
from capgen.output.base import DEFAULT_CSV, Write
from capgen.overwriting import TEXT_OR_DATA, check_output


def open_format(
    path: Path, name: str, csv: CsvOptions = DEFAULT_CSV
) -> AbstractContextManager[Write]:
    """Open a file for records in the format `name` of `FORMATS`.

    JSON Lines grow while the run goes on. All other files appear when the block ends without
    an exception, and an existing file stays until then.

    Raises:
        MissingDependencyError: Parquet without pyarrow.
        ProtectedFileError: There is an image, or something else that it may not replace.
        StorageError: The file cannot be written.
    """
    from capgen.output import records

    check_output(path, TEXT_OR_DATA)
    if name == "json":
        return records.open_json(path)
    if name == "jsonl":
        return records.open_jsonl(path)
    if name == "csv":
        from capgen.output.tables import open_csv

        return open_csv(path, csv)
    if name == "text":
        from capgen.output.tables import open_text

        return open_text(path)
    if name == "parquet":
        from capgen.output.parquet import open_parquet

        return open_parquet(path)
    from capgen.output.gallery import open_gallery

    return open_gallery(path)
