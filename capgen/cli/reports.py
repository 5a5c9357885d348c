"""The report files of `capgen eval` and `capgen models compare`: checked before the work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from capgen.overwriting import OWN_JSON, WEB_PAGE, InputFiles, Output, check_outputs
from capgen.paths import check_place

# As the name of a JSON report: it is printed.
STDOUT = "-"


def check_reports(
    json_file: Path | None, html_file: Path | None, inputs: Iterable[str | Path | None]
) -> None:
    """Check that reports can be written under these names, and what would be lost.

    Args:
        json_file: The file of `--json`; `-` is standard output.
        html_file: The file of `--html`.
        inputs: Files that are read; None, and names that are not files, are passed over.
    """
    outputs = []
    if json_file is not None and str(json_file) != STDOUT:
        outputs.append(Output("--json", json_file, OWN_JSON))
    if html_file is not None:
        outputs.append(Output("--html", html_file, WEB_PAGE))
    for output in outputs:
        check_place(output.path)
    check_outputs(outputs, InputFiles(name for name in inputs if name is not None))
