"""`capgen eval`: parses, calls the evaluation, shows and writes its reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capgen.cli.console import Console
from capgen.cli.decoding_options import (
    BeamsOption,
    LengthPenaltyOption,
    MaxLengthOption,
    MinLengthOption,
    NoRepeatOption,
    RepeatNounsOption,
    RepetitionPenaltyOption,
    SeedOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
)
from capgen.cli.help import examples
from capgen.cli.options import (
    INPUT_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    DeviceOption,
    DtypeOption,
    ModelOption,
    RevisionOption,
    RuntimeOption,
    setting_option,
    settings_from,
)
from capgen.cli.reports import STDOUT, check_reports
from capgen.config import DecodeOptions, EvalConfig
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

SCORING_PANEL = "Scoring"


def _scoring(name: str) -> object:
    return setting_option(EvalConfig, name, panel=SCORING_PANEL)


def _path(help: str, panel: str) -> Any:
    return typer.Option(help=help, rich_help_panel=panel, show_default=False)


def _on_command_line(context: typer.Context, name: str) -> bool:
    """Whether an option was given, and is not the user's own default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def eval_command(
    context: typer.Context,
    dataset: Annotated[str | None, _path("Name of an installed data set.", INPUT_PANEL)] = None,
    data_dir: Annotated[
        Path | None,
        _path(
            "The data set's folder or file; with --references, the folder of the images.",
            INPUT_PANEL,
        ),
    ] = None,
    references: Annotated[
        Path | None,
        _path("Judge against this COCO captions JSON instead of a data set.", INPUT_PANEL),
    ] = None,
    predictions: Annotated[
        Path | None,
        _path(
            "Score these captions instead of a model: COCO results, a mapping, records of "
            "`capgen caption -o`, or a report of --json.",
            INPUT_PANEL,
        ),
    ] = None,
    compare: Annotated[
        str | None,
        _path("Compare with this model or file of predictions, on the same images.", INPUT_PANEL),
    ] = None,
    split: Annotated[str, _scoring("split")] = EvalConfig.split,
    limit: Annotated[int | None, _scoring("limit")] = None,
    metrics: Annotated[str, _scoring("metrics")] = EvalConfig.metrics,
    document_frequencies: Annotated[
        Path | None,
        _path("Table of document frequencies for CIDEr-D, instead of counting.", SCORING_PANEL),
    ] = None,
    resamples: Annotated[int, _scoring("resamples")] = EvalConfig.resamples,
    report_seed: Annotated[int, _scoring("report_seed")] = EvalConfig.report_seed,
    model: ModelOption = None,
    revision: RevisionOption = None,
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    batch_size: Annotated[
        int, setting_option(EvalConfig, "batch_size", panel=MODEL_PANEL)
    ] = EvalConfig.batch_size,
    beams: BeamsOption = None,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    max_length: MaxLengthOption = None,
    min_length: MinLengthOption = None,
    length_penalty: LengthPenaltyOption = None,
    repetition_penalty: RepetitionPenaltyOption = None,
    no_repeat_ngram_size: NoRepeatOption = None,
    repeat_nouns: RepeatNounsOption = DecodeOptions.repeat_nouns,
    seed: SeedOption = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            help="Write the report with every image's scores as JSON; - is standard output.",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="Write a report with images to open in a browser, as one file.",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
    examples: Annotated[
        int, setting_option(EvalConfig, "examples", panel=OUTPUT_PANEL)
    ] = EvalConfig.examples,
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
    options = settings_from(DecodeOptions, locals())
    config = settings_from(EvalConfig, locals())
    if model is not None and predictions is not None and _on_command_line(context, "model"):
        raise UsageError("--model and --predictions exclude each other: give one of them")
    inputs = (data_dir, references, predictions, document_frequencies, compare)
    check_reports(json_file, html_file, inputs)

    from capgen.captioning.captioner import Captioner
    from capgen.cli.eval.view import follow, show
    from capgen.evaluation.compare import compare as compare_evaluations
    from capgen.evaluation.evaluate import evaluation_events
    from capgen.evaluation.evaluation_set import evaluation_set
    from capgen.evaluation.predictions import read_predictions
    from capgen.evaluation.systems import ModelSystem, PredictionsSystem, is_predictions
    from capgen.metrics.cider import DocumentFrequencies
    from capgen.metrics.score import check_metrics

    def load(name: str | None, revision: str | None) -> System:
        captioner = Captioner.from_pretrained(
            name, revision=revision, runtime=runtime, device=device, dtype=dtype
        )
        return ModelSystem(captioner, options, batch_size=config.batch_size)

    def read(file: Path) -> System:
        return PredictionsSystem(read_predictions(file))

    check_metrics(config.metric_names)
    table = None if document_frequencies is None else DocumentFrequencies.load(document_frequencies)
    data = evaluation_set(dataset, data_dir, split=split, references=references, limit=config.limit)
    systems = [load(model, revision)] if predictions is None else [read(predictions)]
    if compare is not None:
        systems.append(read(Path(compare)) if is_predictions(compare) else load(compare, None))
    console = Console()
    for note in data.notes:
        console.note(note)
    found = {}
    # What takes no time comes first: a file that does not fit is found out at once.
    for place, system in sorted(enumerate(systems), key=lambda pair: pair[1].computes):
        events = evaluation_events(system, data, config=config, document_frequencies=table)
        found[place] = follow(events, console, f"captioning ({system.name})", len(data.examples))
    comparison = None if compare is None else compare_evaluations(found[0], found[1])
    _write(console, found[0], comparison, systems[0], json_file, html_file)
    if json_file is None or str(json_file) != STDOUT:
        show(console, found[0], comparison, samples)
    if any(evaluation.failures for evaluation in found.values()):
        raise typer.Exit(1)


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
