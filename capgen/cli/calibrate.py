"""`capgen calibrate`: parses, fits a confidence, stores it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import (
    DECODING_PANEL,
    INPUT_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    with_options,
    without,
)
from capgen.cli.user_defaults import unused_notes
from capgen.config import CalibrateConfig, DecodeOptions, ModelOptions, variables
from capgen.overwriting import OWN_JSON, InputFiles, check_output

if TYPE_CHECKING:
    from capgen.evaluation.calibration.calibrate import Calibrated, ImageObserved

EXAMPLES = examples(
    "capgen calibrate RUN/best-eval --dataset flickr8k",
    "capgen calibrate RUN/best-eval --dataset flickr8k --dataset my-photos",
    "capgen calibrate my-model/ --data-dir flickr8k/ --beams 5 --negatives scans/",
)


def _path(help: str, panel: str = INPUT_PANEL, *flags: str) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=panel, show_default=False)


@with_options(
    section="calibrate",
    panels=(INPUT_PANEL, CalibrateConfig.PANEL, MODEL_PANEL, DECODING_PANEL, OUTPUT_PANEL),
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
    dataset: Annotated[
        list[str] | None, _path("Name of an installed data set; may be repeated.")
    ] = None,
    data_dir: Annotated[
        list[Path] | None, _path("The data set's folder or file; may be repeated.")
    ] = None,
    runs_on: Annotated[ModelOptions, without("model", "trust_remote_code")],
    config: CalibrateConfig,
    negatives: Annotated[
        Path | None, _path("Folder of images of kinds that the model should mistrust.")
    ] = None,
    decoding: Annotated[DecodeOptions, without("diverse", "retry", "confidence", "min_confidence")],
    output: Annotated[
        Path | None,
        _path("Write this file instead of the model's.", OUTPUT_PANEL, "--output", "-o"),
    ] = None,
) -> None:
    """Fit how sure a model is of its captions, and store that in its folder.

    The fit holds for the decoding settings it was made with; the model's own, where no option
    is given. Fits for other settings stay.
    """
    if output is not None:
        check_output(output, OWN_JSON, option="-o", inputs=InputFiles(data_dir or []))

    from capgen.captioning.captioner import Captioner
    from capgen.evaluation.calibration.calibrate import calibrate, store
    from capgen.evaluation.evaluation_set import evaluation_sets

    console = Console()
    for note in unused_notes(context, "calibrate"):
        console.note(note)
    data = evaluation_sets(dataset, data_dir, split=config.split, limit=config.limit)
    captioner = Captioner.from_pretrained(**vars(replace(runs_on, model=model)))
    events = calibrate(captioner, data, options=decoding, config=config, negatives=negatives)
    found = _follow(console, events, sum(len(one.examples) for one in data) + config.drawn)
    path = store(captioner, found.fit, output)
    for line in _lines(found):
        console.data(line)
    console.note(f"calibration written to {path}")


def _follow(
    console: Console, events: Iterable[ImageObserved | Calibrated], total: int
) -> Calibrated:
    """Show events as they come; return the result."""
    from capgen.evaluation.calibration.calibrate import Calibrated

    with console.progress("captioning", total) as advance:
        for event in events:
            if isinstance(event, Calibrated):
                return event
            advance()
            if event.problem:
                console.error(event.problem)
    raise AssertionError("a calibration ends with its fit")


def _lines(found: Calibrated) -> Iterable[str]:
    definition, quality = found.fit.definition, found.quality
    yield f"good: {definition['metric']} from {definition['threshold']:.3g}"
    yield f"images with a good caption: {quality['good']:.1%}"
    yield f"expected calibration error (cross-validated): {quality['calibration_error']:.3f}"
    yield f"AUROC, good against other captions: {quality['auroc_good']:.3f}"
    if "auroc_photos" in quality:
        yield f"AUROC, photographs against other images: {quality['auroc_photos']:.3f}"
    yield f"the more confident half scores {quality['lift_of_half']:+.0%} against all"
