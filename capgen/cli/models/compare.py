"""`capgen models compare`: parses, compares over the same images, shows and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import (
    DECODING_PANEL,
    INPUT_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    SCORING_PANEL,
    only,
    with_options,
    without,
)
from capgen.cli.reports import STDOUT, check_reports
from capgen.config import DecodeOptions, EvalConfig, ModelOptions

EXAMPLES = examples(
    "capgen models compare mini RUN/best-eval --dataset flickr8k",
    "capgen models compare RUN --data-dir flickr8k/ --html comparison.html",
)


@with_options(panels=(INPUT_PANEL, SCORING_PANEL, DECODING_PANEL, MODEL_PANEL, OUTPUT_PANEL))
def compare_command(
    config: Annotated[EvalConfig, without("examples")],
    decoding: Annotated[DecodeOptions, only("beams", "max_length", "length_penalty")],
    runs_on: Annotated[ModelOptions, only("runtime", "device", "dtype")],
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Two models or more, each compared with the first; "
            "a training run means its best-eval and best-loss.",
        ),
    ],
    dataset: Annotated[
        str | None, typer.Option(help="Name of an installed data set.", rich_help_panel=INPUT_PANEL)
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="The data set's folder or file.", rich_help_panel=INPUT_PANEL),
    ] = None,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed/--no-speed", help="Measure images a second, the models taking turns."
        ),
    ] = True,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            help="Write everything as JSON; - is standard output.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="Write a page with the images they disagree on most.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            help="Images of disagreement on the page, for each pair.",
            min=0,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = 20,
) -> None:
    """Compare models over the same images: scores, differences, parameters, size, speed.

    Differences are the first model minus the other, with 95 % bootstrap intervals and paired
    p-values.
    """
    check_reports(json_file, html_file, [data_dir])

    from capgen.cli.models import view
    from capgen.evaluation.evaluation_set import evaluation_set
    from capgen.metrics.score import check_metrics
    from capgen.output.records import dump_json
    from capgen.paths import write_text
    from capgen.registry.compare import comparison_events
    from capgen.registry.report import write_comparison
    from capgen.registry.speed import SpeedOptions

    check_metrics(config.metric_names)
    data = evaluation_set(dataset, data_dir, split=config.split, limit=config.limit)
    console = Console()
    for note in data.notes:
        console.note(note)
    events = comparison_events(
        models,
        data,
        options=decoding,
        config=config,
        runs_on=runs_on,
        speed=SpeedOptions() if speed else None,
    )
    found = view.follow_comparison(events, console)
    on_stdout = json_file is not None and str(json_file) == STDOUT
    if on_stdout:
        console.json(found.to_dict())
    elif json_file is not None:
        write_text(json_file, dump_json(found.to_dict(), indent=2) + "\n")
        console.note(f"scores written to {json_file}")
    if html_file is not None:
        write_comparison(html_file, found, examples=examples)
        console.note(f"page written to {html_file}")
    if not on_stdout:
        view.show_comparison(console, found)
    if any(evaluation.failures for evaluation in found.evaluations):
        raise typer.Exit(1)
