"""`capgen eval --verify`: scores the captions of a report again, and shows what is unlike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from capgen.cli.console import Console
from capgen.cli.reports import ReportFiles
from capgen.cli.user_defaults import on_command_line
from capgen.config import EvalConfig
from capgen.errors import UsageError
from capgen.images.decoders import printable

if TYPE_CHECKING:
    from capgen.evaluation.verify import Verification

_SHOWN = 20
# What a report is verified with comes from it.
_NOT_VERIFIED_WITH = (
    *("split", "limit", "metrics", "language", "tokenizer", "resamples", "report_seed"),
    *("html_file", "format", "with_intervals", "row_names", "samples", "examples"),
)
_FLAGS = {"html_file": "--html", "row_names": "--row-name"}


def check_options(context: typer.Context) -> None:
    """Raise UsageError for options that --verify would leave unused without a word."""
    for name in _NOT_VERIFIED_WITH:
        if on_command_line(context, name):
            flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
            raise UsageError(
                f"--verify takes no {flag}: it scores a report as the report says",
                hint=f"Leave out {flag}.",
            )


def verify_reports(
    report: Path,
    named: Mapping[str, Any],
    output: ReportFiles,
    config: EvalConfig,
    document_frequencies: Path | None,
    *,
    device: str,
) -> None:
    """Verify each evaluation in a report.

    Args:
        report: The file.
        named: What its captions were scored on, as arguments of `data_of_report`.
        output: Where the result is written as JSON, if at all.
        config: How long official programs may take, and what metrics need.
        document_frequencies: The table of document frequencies that was used, if any.
        device: Where a model of a metric computes.

    Raises:
        Exit: With code 1, if a digit does not hold or could not be computed.
    """
    from capgen.evaluation.reported import data_of_report, read_report
    from capgen.evaluation.verify import verify
    from capgen.metrics.cider import DocumentFrequencies

    table = None if document_frequencies is None else DocumentFrequencies.load(document_frequencies)
    console = Console()
    found: list[Verification] = []
    for one in read_report(report):
        data = data_of_report(one, report, **named)
        found.append(
            verify(
                one,
                data,
                document_frequencies=table,
                config=config,
                device=device,
                first=found[0].evaluation if found else None,
            )
        )
    output.write_json(console, _record([item.to_dict() for item in found]))
    if not output.printed:
        for item in found:
            _show(console, report, item)
    if not all(item.holds for item in found):
        raise typer.Exit(1)


def _record(results: list[dict[str, Any]]) -> dict[str, Any]:
    if len(results) == 1:
        return results[0]
    shared = {key: results[0][key] for key in ("schema_version", "kind")}
    return {**shared, "holds": all(one["holds"] for one in results), "reports": results}


def _show(console: Console, report: Path, found: Verification) -> None:
    name = f"{printable(str(report))} ({printable(found.name)})"
    if found.holds:
        console.data(f"{name}: every digit holds ({found.values:,} values)")
        return
    for metric, reason in found.unchecked.items():
        console.data(f"{name}: {metric} could not be computed: {reason}")
    if not found.unlike:
        console.data(f"{name}: the other {found.values:,} values hold")
        return
    console.data(f"{name}: {len(found.unlike):,} of {found.values:,} values differ:")
    for item in found.unlike[:_SHOWN]:
        where = printable(item.where)
        console.data(f"  {where}: {item.reported!r} in the report, {item.computed!r} now")
    if len(found.unlike) > _SHOWN:
        console.data(f"  … and {len(found.unlike) - _SHOWN:,} more (--json FILE has them all)")
