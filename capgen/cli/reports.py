"""The report files of `capgen eval` and `capgen models compare`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from capgen.cli.console import Console
from capgen.cli.options import OUTPUT_PANEL
from capgen.overwriting import OWN_JSON, WEB_PAGE, InputFiles, Output, check_outputs
from capgen.paths import check_place

# As the name of a JSON report: it is printed.
STDOUT = "-"


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where reports are written."""

    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            help="Write a JSON report with the scores of each image; - prints it.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    html_file: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="Write a web page with images, as one file.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None

    @property
    def printed(self) -> bool:
        """Whether the JSON report goes to stdout, which then has nothing else."""
        return self.json_file is not None and str(self.json_file) == STDOUT

    def check(self, inputs: Iterable[str | Path | None]) -> None:
        """Check, before the work, that the reports can be written and replace no input."""
        outputs = []
        if self.json_file is not None and not self.printed:
            outputs.append(Output("--json", self.json_file, OWN_JSON))
        if self.html_file is not None:
            outputs.append(Output("--html", self.html_file, WEB_PAGE))
        for output in outputs:
            check_place(output.path)
        check_outputs(outputs, InputFiles(name for name in inputs if name is not None))

    def write_json(self, console: Console, record: dict[str, Any]) -> None:
        from capgen.output.records import dump_json
        from capgen.paths import write_text

        if self.printed:
            console.json(record)
        elif self.json_file is not None:
            write_text(self.json_file, dump_json(record, indent=2) + "\n")
            console.note(f"scores written to {self.json_file}")
