"""`capgen calibrate`: parses, fits a confidence, stores it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.live_bar import progress
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
    flag_name,
    variables,
)
from capgen.errors import UsageError
from capgen.overwriting import OWN_JSON, InputFiles, check_output

if TYPE_CHECKING:
    from capgen.evaluation.calibration.calibrate import Calibrated, ImageObserved
    from capgen.evaluation.calibration.reviewed_images import ReviewedImages
    from capgen.evaluation.evaluation_set import EvaluationSet

EXAMPLES = examples(
    "capgen calibrate RUN/best-eval --dataset flickr8k",
    "capgen calibrate RUN/best-eval --dataset flickr8k --dataset my-photos",
    "capgen calibrate my-model/ --data-dir flickr8k/ --beams 5 --negatives scans/",
    "capgen calibrate my-model/ --reviews captions.jsonl",
)


@dataclass(frozen=True, kw_only=True)
class FitImages:
    """The images that a confidence is fitted on."""

    PANEL: ClassVar[str] = INPUT_PANEL

    dataset: tuple[str, ...] = option((), "Name of an installed data set; may be repeated.")
    data_dir: tuple[Path, ...] = option((), "The data set's folder or file; may be repeated.")
    reviews: Annotated[
        Path | None,
        typer.Option(
            help="Records whose captions were reviewed, instead of a data set: good is what people "
            "took as it is. --limit N takes the first N of the random order.",
            rich_help_panel=INPUT_PANEL,
            show_default=False,
        ),
    ] = None
    negatives: Annotated[
        Path | None,
        typer.Option(
            help="Folder of images that the model should be unsure about.",
            rich_help_panel=INPUT_PANEL,
            show_default=False,
        ),
        After("limit"),
    ] = None

    def files(self) -> list[Path]:
        """The files and folders that are read."""
        return [*self.data_dir, *([] if self.reviews is None else [self.reviews])]


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
        check_output(output, OWN_JSON, option="-o", inputs=InputFiles(images.files()))

    from capgen.captioning.captioner import Captioner
    from capgen.evaluation.calibration.calibrate import calibrate, images_of, store

    console = Console()
    for note in unused_notes(context, "calibrate"):
        console.note(note)
    data = _data(images, config)
    options = replace(runs_on, model=model)
    confirm_sending(options)
    captioner = Captioner.from_options(options)
    events = calibrate(captioner, data, options=decoding, config=config, negatives=images.negatives)
    total = len(images_of(data)) + config.drawn
    calibrated = _follow(console, events, total)
    path = store(captioner, calibrated.fit, output)
    for line in _lines(calibrated):
        console.data(line)
    console.note(f"calibration written to {path}")
    if images.reviews is not None:
        console.note(
            "caption again for the new confidence. For `capgen accept`, leave out the reviews that "
            "it was fitted on, with --skip"
        )


def _data(images: FitImages, config: CalibrateConfig) -> Sequence[EvaluationSet] | ReviewedImages:
    """Return what to fit on."""
    from capgen.evaluation.calibration.reviewed_images import read_reviewed_images
    from capgen.evaluation.evaluation_set import evaluation_sets

    if images.reviews is None:
        return evaluation_sets(
            images.dataset, images.data_dir, split=config.split, limit=config.limit
        )
    if images.dataset or images.data_dir:
        raise UsageError(
            "--reviews and a data set mean different things by a good caption",
            hint="Leave out --dataset and --data-dir.",
        )
    for name in ("split", "metric", "threshold"):
        if getattr(config, name) != getattr(CalibrateConfig(), name):
            raise UsageError(f"{flag_name(name)} does not apply to --reviews", hint="Leave it out.")
    return read_reviewed_images(images.reviews, config.limit)


def _follow(
    console: Console, events: Iterable[ImageObserved | Calibrated], total: int
) -> Calibrated:
    from capgen.evaluation.calibration.calibrate import Calibrated

    with progress("captioning", total) as advance:
        for event in events:
            if isinstance(event, Calibrated):
                return event
            advance()
            if event.problem:
                console.error(event.problem)
    raise AssertionError("a calibration ends with its fit")


def _lines(calibrated: Calibrated) -> Iterable[str]:
    from capgen.captioning.confidence.model import REVIEWS

    fit, quality = calibrated.fit, calibrated.quality
    yield f"good: {fit.meaning}"
    yield f"images with a good caption: {quality['good']:.1%}"
    yield f"expected calibration error (cross-validated): {quality['calibration_error']:.3f}"
    yield f"AUROC, good against other captions: {quality['auroc_good']:.3f}"
    if "auroc_photos" in quality:
        yield f"AUROC, photographs against other images: {quality['auroc_photos']:.3f}"
    better = "is right" if fit.definition["metric"] == REVIEWS else "scores"
    yield f"the more confident half {better} {quality['lift_of_half']:+.0%} against all"
