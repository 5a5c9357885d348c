"""`capgen calibrate`: parses, fits a confidence, stores it."""

from __future__ import annotations

from collections.abc import Iterable
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
    NumCaptionsOption,
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
    RevisionOption,
    RuntimeOption,
    setting_option,
    settings_from,
)
from capgen.config import CalibrateConfig, DecodeOptions
from capgen.overwriting import OWN_JSON, InputFiles, check_output

if TYPE_CHECKING:
    from capgen.evaluation.calibration.calibrate import Calibrated, ImageObserved

EXAMPLES = examples(
    "capgen calibrate RUN/best-eval --dataset flickr8k",
    "capgen calibrate RUN/best-eval --dataset flickr8k --dataset my-photos",
    "capgen calibrate my-model/ --data-dir flickr8k/ --beams 5 --negatives scans/",
)

FIT_PANEL = "Fit"


def _fit(name: str, panel: str = FIT_PANEL) -> object:
    return setting_option(CalibrateConfig, name, panel=panel)


def _path(help: str, panel: str = INPUT_PANEL, *flags: str) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=panel, show_default=False)


def calibrate_command(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Bundled model 'mini' (default), a model folder, RUN/best-eval, or a Hub id.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None, _path("Name of an installed data set; may be repeated.")
    ] = None,
    data_dir: Annotated[
        list[Path] | None, _path("The data set's folder or file; may be repeated.")
    ] = None,
    split: Annotated[str, _fit("split", INPUT_PANEL)] = CalibrateConfig.split,
    limit: Annotated[int | None, _fit("limit", INPUT_PANEL)] = None,
    negatives: Annotated[
        Path | None, _path("Folder of images of kinds that the model should mistrust.")
    ] = None,
    drawn: Annotated[int, _fit("drawn")] = CalibrateConfig.drawn,
    metric: Annotated[str, _fit("metric")] = CalibrateConfig.metric,
    threshold: Annotated[float | None, _fit("threshold")] = None,
    folds: Annotated[int, _fit("folds")] = CalibrateConfig.folds,
    fit_seed: Annotated[int, _fit("fit_seed")] = CalibrateConfig.fit_seed,
    revision: RevisionOption = None,
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    batch_size: Annotated[int, _fit("batch_size", MODEL_PANEL)] = CalibrateConfig.batch_size,
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
    num_captions: NumCaptionsOption = None,
    seed: SeedOption = None,
    output: Annotated[
        Path | None,
        _path("Write this file instead of the model's.", OUTPUT_PANEL, "--output", "-o"),
    ] = None,
) -> None:
    """Fit how sure a model is of its captions, and store that in its folder.

    The fit holds for the decoding settings it was made with; the model's own, where no option
    is given. Fits for other settings stay.
    """
    options = settings_from(DecodeOptions, locals())
    config = settings_from(CalibrateConfig, locals())

    if output is not None:
        check_output(output, OWN_JSON, option="-o", inputs=InputFiles(data_dir or []))

    from capgen.captioning.captioner import Captioner
    from capgen.evaluation.calibration.calibrate import calibrate, store
    from capgen.evaluation.evaluation_set import evaluation_sets

    console = Console()
    data = evaluation_sets(dataset, data_dir, split=split, limit=limit)
    captioner = Captioner.from_pretrained(
        model, revision=revision, runtime=runtime, device=device, dtype=dtype
    )
    events = calibrate(captioner, data, options=options, config=config, negatives=negatives)
    found = _follow(console, events, sum(len(one.examples) for one in data) + drawn)
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
