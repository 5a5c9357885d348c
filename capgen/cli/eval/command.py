"""`capgen eval`: parses, calls the evaluation, shows and writes its reports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import (
    DECODING_PANEL,
    INPUT_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    SCORING_PANEL,
    After,
    with_options,
    without,
)
from capgen.cli.reports import STDOUT, check_reports
from capgen.cli.user_defaults import on_command_line, unused_notes
from capgen.config import DecodeOptions, EvalConfig, ModelOptions, setting
from capgen.errors import UsageError

if TYPE_CHECKING:
    from capgen.evaluation.compare import Comparison
    from capgen.evaluation.result import Evaluation
    from capgen.evaluation.systems import System

EXAMPLES = examples(
    "capgen eval --dataset flickr8k --beams 3",
    "capgen eval --model RUN/best-eval --data-dir flickr8k/ --json scores.json --html report.html",
    "capgen eval --predictions captions.json --references captions_val2014.json",
    "capgen eval --data-dir flickr8k/ --compare scores.json",
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is judged, and against what."""

    PANEL: ClassVar[str] = INPUT_PANEL

    dataset: str | None = setting(None, "Name of an installed data set.", remembered=False)
    data_dir: Path | None = setting(  # noqa: RUF009
        None,
        "The data set's folder or file; with --references, the folder of the images.",
        remembered=False,
    )
    references: Path | None = setting(  # noqa: RUF009
        None, "Judge against this COCO captions JSON instead of a data set.", remembered=False
    )
    predictions: Path | None = setting(  # noqa: RUF009
        None,
        "Score these captions instead of a model: COCO results, a mapping, records of "
        "`capgen caption -o`, or a report of --json.",
        remembered=False,
    )
    compare: str | None = setting(
        None,
        "Compare with this model or file of predictions, on the same images.",
        remembered=False,
    )


@with_options(
    section="eval",
    panels=(INPUT_PANEL, SCORING_PANEL, MODEL_PANEL, DECODING_PANEL, OUTPUT_PANEL),
)
def eval_command(
    context: typer.Context,
    *,
    judged: Judged,
    model: Annotated[ModelOptions, without("trust_remote_code")],
    decoding: Annotated[
        DecodeOptions, without("num_captions", "diverse", "retry", "confidence", "min_confidence")
    ],
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            help="Write the report with every image's scores as JSON; - is standard output.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="Write a report with images to open in a browser, as one file.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    config: EvalConfig,
    document_frequencies: Annotated[
        Path | None,
        typer.Option(
            help="Table of document frequencies for CIDEr-D, instead of counting.",
            rich_help_panel=SCORING_PANEL,
        ),
        After("metrics"),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            help="Show so many random images' captions, references and scores.",
            rich_help_panel=OUTPUT_PANEL,
            min=0,
        ),
    ] = 0,
) -> None:
    """Score a model, or captions from a file, against human captions.

    Prints a table of scores with 95 % intervals.

    Where no decoding option is given, the model's own defaults apply.
    """
    if judged.predictions is not None and on_command_line(context, "model"):
        raise UsageError("--model and --predictions exclude each other: give one of them")
    inputs = (judged.data_dir, judged.references, judged.predictions, judged.compare)
    check_reports(json_file, html_file, [*inputs, document_frequencies])

    from capgen.cli.eval.view import follow, show
    from capgen.evaluation.compare import compare as compare_evaluations
    from capgen.evaluation.evaluate import evaluation_events
    from capgen.evaluation.evaluation_set import evaluation_set
    from capgen.metrics.cider import DocumentFrequencies
    from capgen.metrics.score import check_metrics

    check_metrics(config.metric_names)
    table = None if document_frequencies is None else DocumentFrequencies.load(document_frequencies)
    data = evaluation_set(
        judged.dataset,
        judged.data_dir,
        split=config.split,
        references=judged.references,
        limit=config.limit,
    )
    systems = _systems(judged, model, decoding, config.batch_size)
    console = Console()
    for note in (*unused_notes(context, "eval"), *data.notes):
        console.note(note)
    found = {}
    # What takes no time comes first: a file that does not fit is found out at once.
    for place, system in sorted(enumerate(systems), key=lambda pair: pair[1].computes):
        events = evaluation_events(system, data, config=config, document_frequencies=table)
        found[place] = follow(events, console, f"captioning ({system.name})", len(data.examples))
    comparison = None if judged.compare is None else compare_evaluations(found[0], found[1])
    _write(console, found[0], comparison, systems[0], json_file, html_file)
    if json_file is None or str(json_file) != STDOUT:
        show(console, found[0], comparison, samples)
    if any(evaluation.failures for evaluation in found.values()):
        raise typer.Exit(1)


def _systems(
    judged: Judged, model: ModelOptions, decoding: DecodeOptions, batch_size: int
) -> list[System]:
    """Load what is judged, and what it is compared with, if anything."""
    from capgen.captioning.captioner import Captioner
    from capgen.evaluation.predictions import read_predictions
    from capgen.evaluation.systems import ModelSystem, PredictionsSystem, is_predictions

    def load(options: ModelOptions) -> System:
        captioner = Captioner.from_pretrained(**vars(options))
        return ModelSystem(captioner, decoding, batch_size=batch_size)

    def read(file: Path) -> System:
        return PredictionsSystem(read_predictions(file))

    systems = [load(model) if judged.predictions is None else read(judged.predictions)]
    if judged.compare is not None:
        known = is_predictions(judged.compare)
        other = replace(model, model=judged.compare, revision=None)
        systems.append(read(Path(judged.compare)) if known else load(other))
    return systems


def _write(
    console: Console,
    evaluation: Evaluation,
    comparison: Comparison | None,
    system: System,
    json_file: Path | None,
    html_file: Path | None,
) -> None:
    """Write the reports that were asked for."""
    from capgen.evaluation.report import write_report
    from capgen.output.records import dump_json
    from capgen.paths import write_text

    record = (comparison or evaluation).to_dict
    if json_file is not None and str(json_file) == STDOUT:
        console.json(record())
    elif json_file is not None:
        write_text(json_file, dump_json(record(), indent=2) + "\n")
        console.note(f"scores written to {json_file}")
    if html_file is not None:
        write_report(html_file, evaluation, comparison=comparison, attend=system.attention)
        console.note(f"report written to {html_file}")
