"""`capgen eval`: parses, calls the evaluation, shows and writes its reports."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
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
    option,
    with_options,
    without,
)
from capgen.cli.reports import ReportFiles
from capgen.cli.sending import confirm_sending
from capgen.cli.user_defaults import on_command_line, unused_notes
from capgen.config import (
    DecodeOptions,
    EndpointOptions,
    EvalConfig,
    ModelOptions,
    PromptOptions,
    WordOptions,
    check_ranges,
)
from capgen.config.fields import flag_name
from capgen.errors import UsageError

if TYPE_CHECKING:
    from capgen.evaluation.result import Evaluation
    from capgen.evaluation.systems import System

EXAMPLES = examples(
    "capgen eval --dataset flickr8k --beams 3",
    "capgen eval --model RUN/best-eval --data-dir flickr8k/ --json scores.json --html report.html",
    "capgen eval --predictions captions.json --references captions_val2014.json",
    "capgen eval --data-dir flickr8k/ --compare scores.json",
    "capgen eval --verify scores.json",
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is scored, and against which references."""

    PANEL: ClassVar[str] = INPUT_PANEL

    dataset: str | None = option(None, "Name of an installed data set.")
    data_dir: Path | None = option(  # noqa: RUF009
        None, "The data set's folder or file; with --references, the folder of the images."
    )
    references: Path | None = option(  # noqa: RUF009
        None,
        "Use the captions in this file as references: COCO JSON, a JSON object of image → "
        "captions, CSV, or lines of image, tab, caption.",
    )
    predictions: Path | None = option(  # noqa: RUF009
        None,
        "Score these captions instead of a model's: COCO results, a JSON object of image → "
        "caption, CSV, lines of image, tab, caption, the output of `capgen caption -o`, or a "
        "report of --json.",
    )
    compare: str | None = option(
        None, "Compare with this model or predictions file, on the same images."
    )
    verify: Path | None = option(  # noqa: RUF009
        None,
        "Score the captions of this report of --json again, and say whether every digit holds; "
        "its references are found again if they can be.",
    )


@dataclass(frozen=True, kw_only=True)
class EvalOutput(ReportFiles):
    """Where the reports are written, and which images are shown."""

    PANEL: ClassVar[str] = OUTPUT_PANEL

    samples: int = option(
        0, "Show captions, references and scores of this many random images.", low=0
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@with_options(
    section="eval",
    panels=(
        *(INPUT_PANEL, SCORING_PANEL, MODEL_PANEL, PromptOptions.PANEL, EndpointOptions.PANEL),
        *(DECODING_PANEL, WordOptions.PANEL, OUTPUT_PANEL),
    ),
)
def eval_command(
    context: typer.Context,
    *,
    judged: Judged,
    model: Annotated[ModelOptions, without("trust_remote_code")],
    decoding: Annotated[
        DecodeOptions,
        without(
            *("retry", "confidence", "min_confidence"),
            *("prefix", "suffix", "replace", "trim_openings"),
        ),
    ],
    output: EvalOutput,
    config: EvalConfig,
    document_frequencies: Annotated[
        Path | None,
        typer.Option(
            help="Take CIDEr-D's document frequencies from this file instead of counting them.",
            rich_help_panel=SCORING_PANEL,
        ),
        After("metrics"),
    ] = None,
) -> None:
    """Score a model, or captions from a file, against human captions.

    Prints a table of scores with 95 % confidence intervals. Decoding options that you leave out
    have the model's own defaults.
    """
    if judged.predictions is not None and on_command_line(context, "model"):
        raise UsageError("--model and --predictions cannot be used together")
    inputs = (judged.data_dir, judged.references, judged.predictions, judged.compare, judged.verify)
    output.check(
        [*inputs, document_frequencies, config.objects, config.instances],
        systems=1 + (judged.compare is not None),
    )
    if judged.references is not None and on_command_line(context, "split"):
        raise UsageError(
            "--split is of a data set; the file of --references is used whole",
            hint="Leave out one of the two.",
        )
    _check_decoding(context, judged)
    if judged.verify is not None:
        if judged.predictions or judged.compare or on_command_line(context, "model"):
            raise UsageError("--verify scores the captions of a report, and no others")
        from capgen.cli.eval.verify import check_options, verify_reports

        check_options(context)
        named = {key: getattr(judged, key) for key in ("dataset", "data_dir", "references")}
        verify_reports(
            judged.verify, named, output, config, document_frequencies, device=model.device
        )
        return

    from capgen.cli.eval.view import follow, show
    from capgen.evaluation.compare import compare as compare_evaluations
    from capgen.evaluation.evaluate import evaluation_events
    from capgen.evaluation.evaluation_set import evaluation_set
    from capgen.evaluation.report import write_report
    from capgen.metrics.cider import DocumentFrequencies
    from capgen.metrics.definitions import check_names

    check_names(config.metric_names)
    if not (judged.dataset or judged.data_dir or judged.references):
        raise UsageError(
            "There is nothing to score against",
            hint="Give --dataset NAME (see `capgen data list`), --data-dir PATH or "
            "--references FILE.",
        )
    table = None if document_frequencies is None else DocumentFrequencies.load(document_frequencies)
    data = evaluation_set(
        judged.dataset,
        judged.data_dir,
        split=config.split,
        references=judged.references,
        limit=config.limit,
    )
    models = [] if judged.compare is None else [judged.compare]
    confirm_sending(ModelOptions(yes=model.yes) if judged.predictions else model, models)
    systems = _systems(judged, model, decoding, config.batch_size)
    console = Console()
    for note in (*unused_notes(context, "eval"), *data.notes):
        console.note(note)
    results: dict[int, Evaluation] = {}
    told: list[str] = []
    # Files of predictions first: they take no time, and an error in one shows at once.
    for place, system in sorted(enumerate(systems), key=lambda pair: pair[1].computes):
        before = [one.evidence.unavailable for one in results.values()]
        events = evaluation_events(
            system,
            data,
            config=config,
            document_frequencies=table,
            device=model.device,
            unavailable=before[0] if before else None,
        )
        doing = "captioning" if system.computes else "reading"
        label = f"{doing} ({system.name})"
        results[place] = follow(events, console, label, len(data.examples), told)
    comparison = None if judged.compare is None else compare_evaluations(results[0], results[1])
    for note in comparison.notes if comparison else ():
        if note not in told:
            console.note(note)
    try:
        output.write_json(console, (comparison or results[0]).to_dict())
        if output.html_file is not None:
            write_report(
                output.html_file, results[0], comparison=comparison, attend=systems[0].attention
            )
            console.note(f"report written to {output.html_file}")
    finally:  # a full disk must not cost the scores
        scored = [comparison.first, comparison.second] if comparison else [results[0]]
        differences = [comparison.differences] if comparison else []
        if not output.show_rows(console, scored, differences) and not output.printed:
            show(console, results[0], comparison, output.samples)
    if any(one.failures or one.scores.failed for one in results.values()):
        raise typer.Exit(1)


def _check_decoding(context: typer.Context, judged: Judged) -> None:
    """Raise UsageError for options of decoding where no model makes captions."""
    from capgen.evaluation.systems import is_predictions

    compared = judged.compare is None or is_predictions(judged.compare)
    if judged.predictions is None or not compared:
        return
    for field in fields(DecodeOptions):
        if on_command_line(context, field.name):
            raise UsageError(
                f"{flag_name(field.name)} is for models; these captions come from files",
                hint=f"Leave out {flag_name(field.name)}.",
            )


def _systems(
    judged: Judged, model: ModelOptions, decoding: DecodeOptions, batch_size: int
) -> list[System]:
    from capgen.captioning.captioner import Captioner
    from capgen.evaluation.predictions import names_of_files, read_predictions
    from capgen.evaluation.systems import ModelSystem, PredictionsSystem, is_predictions

    def load(options: ModelOptions) -> System:
        captioner = Captioner.from_options(options)
        return ModelSystem(captioner, decoding, batch_size=batch_size)

    other = None
    if judged.compare is not None and is_predictions(judged.compare):
        other = Path(judged.compare)
    files = [file for file in (judged.predictions, other) if file is not None]
    names = dict(zip(files, names_of_files(files), strict=True))

    def read(file: Path) -> System:
        return PredictionsSystem(read_predictions(file, names[file]))

    systems = [load(model) if judged.predictions is None else read(judged.predictions)]
    if judged.compare is not None:
        if other is not None:
            systems.append(read(other))
        else:
            systems.append(load(replace(model, model=judged.compare, revision=None, endpoint=None)))
    return systems
