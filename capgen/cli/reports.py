"""The report files of `capgen eval` and `capgen models compare`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from capgen.cli.console import Console
from capgen.cli.options import OUTPUT_PANEL, option
from capgen.errors import UsageError
from capgen.overwriting import OWN_JSON, WEB_PAGE, InputFiles, Output, check_outputs
from capgen.paths import check_place

if TYPE_CHECKING:
    from capgen.evaluation.result import Evaluation
    from capgen.metrics.bootstrap import Difference

# As the name of a JSON report: it is printed.
STDOUT = "-"


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where reports are written, and how scores are printed."""

    PANEL: ClassVar[str] = OUTPUT_PANEL

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

    format: str = option(
        "table",
        "How scores are printed: as a table for the terminal, or as rows of a paper.",
        choices=("table", "latex", "markdown", "csv"),
    )
    with_intervals: bool = option(False, "Print intervals beside the scores of a paper's rows.")
    row_names: tuple[str, ...] = option(
        (),
        "What a paper's row is called, instead of its model or file; repeated, one for each row.",
        flags="--row-name",
    )

    @property
    def printed(self) -> bool:
        """Whether the JSON report goes to stdout, which then has nothing else."""
        return self.json_file is not None and str(self.json_file) == STDOUT

    def check(self, inputs: Iterable[str | Path | None], systems: int) -> None:
        """Check, before the work, that the reports can be written and replace no input.

        Args:
            inputs: Files that are read.
            systems: How many systems there are, each of which is a row.
        """
        if self.row_names and self.format == "table":
            raise UsageError(
                "--row-name names the rows of --format latex, markdown or csv",
                hint="Add --format.",
            )
        if self.row_names and len(self.row_names) != systems:
            raise UsageError(
                f"--row-name must be given for each row: {systems}, not {len(self.row_names)}",
                hint="Repeat it, in the order of the rows.",
            )
        if self.printed and self.format != "table":
            raise UsageError(f"--json - and --format {self.format} both print to stdout")
        outputs = []
        if self.json_file is not None and not self.printed:
            outputs.append(Output("--json", self.json_file, OWN_JSON))
        if self.html_file is not None:
            outputs.append(Output("--html", self.html_file, WEB_PAGE))
        for output in outputs:
            check_place(output.path)
        check_outputs(outputs, InputFiles(name for name in inputs if name is not None))

    def show_rows(
        self,
        console: Console,
        evaluations: Sequence[Evaluation],
        differences: Sequence[Mapping[str, Difference]],
    ) -> bool:
        """Print rows of a paper, if they were asked for; return whether they were."""
        if self.format == "table":
            return False
        from capgen.evaluation.paper_table import paper_table
        from capgen.images.decoders import printable

        text = paper_table(
            evaluations,
            self.format,
            intervals=self.with_intervals,
            names=self.row_names,
            differences=differences,
        )
        for line in text.split("\n"):
            console.data(printable(line))
        return True

    def write_json(self, console: Console, record: dict[str, Any]) -> None:
        from capgen.output.records import dump_json
        from capgen.paths import write_text

        if self.printed:
            console.json(record)
        elif self.json_file is not None:
            write_text(self.json_file, dump_json(record, indent=2) + "\n")
            console.note(f"scores written to {self.json_file}")
