"""`capgen calibrate`: parses, fits a confidence, stores it."""

from __future__ import annotations

from collections.abc import Iterable
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
    After,
    option,
    with_options,
    without,
)
from capgen.cli.sending import confirm_sending
from capgen.cli.user_defaults import unused_notes
from capgen.config import (
    CalibrateConfig,
    DecodeOptions,
    EndpointOptions,
    ModelOptions,
    PromptOptions,
    variables,
)
from capgen.overwriting import OWN_JSON, InputFiles, check_output

if TYPE_CHECKING:
    from capgen.evaluation.calibration.calibrate import Calibrated, ImageObserved

EXAMPLES = examples(
    "capgen calibrate RUN/best-eval --dataset flickr8k",
    "capgen calibrate RUN/best-eval --dataset flickr8k --dataset my-photos",
    "capgen calibrate my-model/ --data-dir flickr8k/ --beams 5 --negatives scans/",
)


@dataclass(frozen=True, kw_only=True)
class FitImages:
    """The images that a confidence is fitted on."""

    PANEL: ClassVar[str] = INPUT_PANEL

    dataset: tuple[str, ...] = option((), "Name of an installed data set; may be repeated.")
    data_dir: tuple[Path, ...] = option((), "The data set's folder or file; may be repeated.")
    negatives: Annotated[
        Path | None,
        typer.Option(
            help="Folder of images that the model should be unsure about.",
            rich_help_panel=INPUT_PANEL,
            show_default=False,
        ),
        After("limit"),
    ] = None


@with_options(
    section="calibrate",
    panels=(
        *(INPUT_PANEL, CalibrateConfig.PANEL, MODEL_PANEL, PromptOptions.PANEL),
        *(EndpointOptions.PANEL, DECODING_PANEL, OUTPUT_PANEL),
    ),
)
def calibrate_command(
    context: typer.Context,
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            help="'mini' (bundled), a model folder, RUN/best-eval, a kept model, or a Hub id. "
            "Default: CAPGEN_MODEL, or `capgen models default`, or mini.",
            envvar=variables("model", "calibrate"),
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    images: FitImages,
    runs_on: Annotated[ModelOptions, without("model", "trust_remote_code")],
    config: CalibrateConfig,
    decoding: Annotated[
        DecodeOptions,
        without(
            *("diverse", "retry", "confidence", "min_confidence", "avoid_words", "include_words"),
            *("prefix", "suffix", "replace", "trim_openings"),
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the calibration to this file, not to the model's folder.",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fit a model's confidence to how good its captions are, and store the fit in its folder.

    The fit is for the decoding settings given here, or the model's own defaults. Fits for other
    settings are kept.
    """
    if output is not None:
        check_output(output, OWN_JSON, option="-o", inputs=InputFiles(images.data_dir))

    from capgen.captioning.captioner import Captioner
    from capgen.evaluation.calibration.calibrate import calibrate, store
    from capgen.evaluation.evaluation_set import evaluation_sets

    console = Console()
    for note in unused_notes(context, "calibrate"):
        console.note(note)
    data = evaluation_sets(images.dataset, images.data_dir, split=config.split, limit=config.limit)
    options = replace(runs_on, model=model)
    confirm_sending(options)
    captioner = Captioner.from_options(options)
    events = calibrate(captioner, data, options=decoding, config=config, negatives=images.negatives)
    total = sum(len(part.examples) for part in data) + config.drawn
    calibrated = _follow(console, events, total)
    path = store(captioner, calibrated.fit, output)
    for line in _lines(calibrated):
        console.data(line)
    console.note(f"calibration written to {path}")


def _follow(
    console: Console, events: Iterable[ImageObserved | Calibrated], total: int
) -> Calibrated:
    from capgen.evaluation.calibration.calibrate import Calibrated

    with console.progress("captioning", total) as advance:
        for event in events:
            if isinstance(event, Calibrated):
                return event
            advance()
            if event.problem:
                console.error(event.problem)
    raise AssertionError("a calibration ends with its fit")


def _lines(calibrated: Calibrated) -> Iterable[str]:
    definition, quality = calibrated.fit.definition, calibrated.quality
    yield f"good: {definition['metric']} from {definition['threshold']:.3g}"
    yield f"images with a good caption: {quality['good']:.1%}"
    yield f"expected calibration error (cross-validated): {quality['calibration_error']:.3f}"
    yield f"AUROC, good against other captions: {quality['auroc_good']:.3f}"
    if "auroc_photos" in quality:
        yield f"AUROC, photographs against other images: {quality['auroc_photos']:.3f}"
    yield f"the more confident half scores {quality['lift_of_half']:+.0%} against all"
