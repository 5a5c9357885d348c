"""`capgen accept`: parses, chooses a threshold, says what it is good for."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import OUTPUT_PANEL, Json, with_options
from capgen.config import AcceptConfig
from capgen.overwriting import TEXT_OR_DATA, InputFiles, check_output

if TYPE_CHECKING:
    from capgen.records import Record
    from capgen.reviews.acceptance import Acceptance
    from capgen.reviews.confidence_agreement import Agreement

EXAMPLES = examples(
    "capgen accept captions.jsonl",
    "capgen accept captions.jsonl --at-most-wrong 0.05 --sure 0.99 -o accepted.jsonl",
)


@with_options(section="accept")
def accept_command(
    *,
    records: Annotated[Path, typer.Argument(help="Captions with a confidence, partly reviewed.")],
    config: AcceptConfig,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the accepted captions to this file: .json, .jsonl, .csv, .txt or .parquet.",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Choose a confidence from which captions need no review, and promise how many are wrong.

    The promise comes from captions that were drawn at random and reviewed. Nothing is marked as
    reviewed: `capgen apply --min-confidence` uses the threshold.
    """
    from capgen.reviews.acceptance import accept
    from capgen.reviews.journal import read_reviews, reviews_path
    from capgen.reviews.judgement import judgements
    from capgen.reviews.reviewed_records import read_records

    inputs = InputFiles([records, reviews_path(records)])
    if output is not None:
        check_output(output, TEXT_OR_DATA, option="-o", inputs=inputs)
    judged = judgements(read_records(records), read_reviews(reviews_path(records)))
    found = accept(judged, config)
    console = Console()
    if output is not None:
        _write(found.accepted, output)
    least = repr(found.level.threshold)
    command = shlex.join(
        ["capgen", "apply", str(records), "--min-confidence", least, "--write-metadata"]
    )
    if as_json:
        console.json({**found.to_dict(), "records": str(records), "command": command})
    else:
        for line in (*_lines(found), *agreement_lines(found.agreement)):
            console.data(line)
        console.data(f"use it:  {command}")
    console.note(
        "this holds if you had settled on the number of reviews before you saw a result: "
        "who reviews until the result pleases has no promise"
    )


def _write(records: Iterable[Record], path: Path) -> None:
    from capgen.output.base import format_of
    from capgen.output.formats import open_format

    with open_format(path, format_of(path)) as write:
        for record in records:
            write(record, None)


def _lines(found: Acceptance) -> Iterator[str]:
    config, level = found.config, found.level
    which = "all reviews" if config.sample == "all" else "the random order"
    yield f"random sample: {found.sampled} reviews ({which}), {found.right} captions right"
    yield (
        f"accepted without review: {len(found.accepted)} of {found.captions} captions, those with "
        f"a confidence of at least {level.threshold!r}"
    )
    yield (
        f"promise: with probability {config.sure:g}, at most {config.at_most_wrong:.3g} of them "
        f"are wrong"
    )
    yield (
        f"of the sample, {level.sampled} are at or above the threshold, {level.wrong} of them "
        f"wrong; upper bound at this threshold alone: {found.bound:.3f}"
    )
    yield f"reviewed: {found.reviewed}; left to review: {found.left}"
    for reviews, count in found.more:
        yield f"{reviews} more reviews in random order would accept about {count} (an estimate)"


def agreement_lines(found: Agreement) -> Iterator[str]:
    """Yield lines on how far confidence and reviews agree."""
    error = found.expected_calibration_error
    if error is None:
        return
    yield f"expected calibration error (ECE) of confidence as 'right (as reviewed)': {error:.3f}"
    for one in found.bins:
        yield (
            f"  confidence {one.low:.2f} to {one.high:.2f}: {one.right} of {one.reviewed} right, "
            f"mean confidence {one.mean_confidence:.2f}"
        )
