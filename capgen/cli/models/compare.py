"""`capgen models compare`: parses, compares over the same images, shows and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capgen.cli.console import Console
from capgen.cli.decoding_options import (
    BeamsOption,
    LengthPenaltyOption,
    MaxLengthOption,
)
from capgen.cli.help import examples
from capgen.cli.options import (
    INPUT_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    DeviceOption,
    DtypeOption,
    RuntimeOption,
    setting_option,
    settings_from,
)
from capgen.cli.reports import STDOUT, check_reports
from capgen.config import DecodeOptions, EvalConfig

EXAMPLES = examples(
    "capgen models compare mini RUN/best-eval --dataset flickr8k",
    "capgen models compare RUN --data-dir flickr8k/ --html comparison.html",
)

SCORING_PANEL = "Scoring"


def compare_command(
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
    split: Annotated[
        str, setting_option(EvalConfig, "split", panel=SCORING_PANEL)
    ] = EvalConfig.split,
    limit: Annotated[int | None, setting_option(EvalConfig, "limit", panel=SCORING_PANEL)] = None,
    metrics: Annotated[
        str, setting_option(EvalConfig, "metrics", panel=SCORING_PANEL)
    ] = EvalConfig.metrics,
    resamples: Annotated[
        int, setting_option(EvalConfig, "resamples", panel=SCORING_PANEL)
    ] = EvalConfig.resamples,
    report_seed: Annotated[
        int, setting_option(EvalConfig, "report_seed", panel=SCORING_PANEL)
    ] = EvalConfig.report_seed,
    beams: BeamsOption = None,
    max_length: MaxLengthOption = None,
    length_penalty: LengthPenaltyOption = None,
    batch_size: Annotated[
        int, setting_option(EvalConfig, "batch_size", panel=MODEL_PANEL)
    ] = EvalConfig.batch_size,
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
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
    given = dict(locals())
    del given["examples"]  # those of the page, not of an evaluation's report
    options = settings_from(DecodeOptions, given)
    config = settings_from(EvalConfig, given)
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
    data = evaluation_set(dataset, data_dir, split=split, limit=limit)
    console = Console()
    for note in data.notes:
        console.note(note)
    events = comparison_events(
        models,
        data,
        options=options,
        config=config,
        runtime=runtime,
        device=device,
        dtype=dtype,
        speed_photos=SpeedOptions.images if speed else 0,
        speed_rounds=SpeedOptions.rounds,
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
