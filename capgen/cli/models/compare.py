"""`capgen models compare`: parses, compares models over the same images, shows and writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

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
    option,
    with_options,
    without,
)
from capgen.cli.reports import ReportFiles
from capgen.cli.sending import confirm_sending
from capgen.cli.user_defaults import unused_notes
from capgen.config import DecodeOptions, EvalConfig, ModelOptions, check_ranges
from capgen.config.endpoint import EndpointOptions
from capgen.config.prompts import PromptOptions

EXAMPLES = examples(
    "capgen models compare mini RUN/best-eval --dataset flickr8k",
    "capgen models compare RUN mini --data-dir flickr8k/ --html comparison.html",
)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Which models are compared, and on which data."""

    PANEL: ClassVar[str] = INPUT_PANEL

    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Two or more models; each is compared with the first. "
            "A training run stands for its best-eval and best-loss, and an address, as in "
            "http://127.0.0.1:8080/v1#NAME, for a model on a server.",
        ),
    ]
    dataset: str | None = option(None, "Name of an installed data set.")
    data_dir: Path | None = option(  # noqa: RUF009
        None, "The data set's folder or file."
    )
    speed: Annotated[
        bool,
        typer.Option(
            "--speed/--no-speed", help="Measure images per second, the models taking turns."
        ),
    ] = True


@dataclass(frozen=True, kw_only=True)
class ComparisonFiles(ReportFiles):
    """Where the comparison is written, and how many images its page shows."""

    PANEL: ClassVar[str] = OUTPUT_PANEL

    # Not `examples`: that is a setting of `capgen eval`, with another meaning.
    disputed: int = option(
        20,
        "Images per pair of models on the page, where they differ most.",
        low=0,
        flags="--examples",
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@with_options(
    section="models.compare",
    panels=(
        *(INPUT_PANEL, SCORING_PANEL, DECODING_PANEL, MODEL_PANEL, PromptOptions.PANEL),
        *(EndpointOptions.PANEL, OUTPUT_PANEL),
    ),
)
def compare_command(
    context: typer.Context,
    config: Annotated[EvalConfig, without("examples")],
    decoding: Annotated[DecodeOptions, only("beams", "max_length", "length_penalty")],
    runs_on: Annotated[
        ModelOptions,
        only("runtime", "device", "dtype", "device_map", "quantize", "prompt", "system", "yes"),
    ],
    compared: Compared,
    files: ComparisonFiles,
) -> None:
    """Compare models over the same images: scores, differences, parameters, size, speed.

    Differences are the first model minus the other, with 95 % bootstrap intervals and paired
    p-values.
    """
    from capgen.registry.compare import choose_models, comparison_events

    chosen = choose_models(compared.models)
    files.check([compared.data_dir, config.objects, config.instances], systems=len(chosen.names))

    from capgen.cli.models import compare_view
    from capgen.evaluation.evaluation_set import evaluation_set
    from capgen.metrics.definitions import check_names
    from capgen.registry.report import write_comparison
    from capgen.registry.speed import SpeedOptions

    check_names(config.metric_names)
    data = evaluation_set(
        compared.dataset, compared.data_dir, split=config.split, limit=config.limit
    )
    console = Console()
    for note in (*unused_notes(context, "models.compare"), *data.notes):
        console.note(note)
    confirm_sending(runs_on, compared.models)
    events = comparison_events(
        chosen,
        data,
        options=decoding,
        config=config,
        runs_on=runs_on,
        speed=SpeedOptions() if compared.speed else None,
    )
    comparison = compare_view.follow_comparison(events, console)
    try:
        files.write_json(console, comparison.to_dict())
        if files.html_file is not None:
            write_comparison(files.html_file, comparison, examples=files.disputed)
            console.note(f"page written to {files.html_file}")
    finally:  # a full disk must not cost the scores
        differences = [each.differences for each in comparison.comparisons]
        if not files.show_rows(console, comparison.evaluations, differences) and not files.printed:
            compare_view.show_comparison(console, comparison)
    if any(one.failures or one.scores.failed for one in comparison.evaluations):
        raise typer.Exit(1)
