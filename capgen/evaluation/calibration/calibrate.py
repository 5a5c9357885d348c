"""Fit a captioner's confidence: caption photographs with references, and drawn patterns.

A caption is good where its score against the image's own references reaches a threshold.
How it is fitted is `capgen.evaluation.calibration.confidence_fit`'s matter.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import capgen
from capgen.captioning.captioner import Captioner
from capgen.captioning.confidence.calibration_file import Calibration, weights_digest
from capgen.captioning.confidence.model import Fit, fitted_settings
from capgen.captioning.confidence.observe import Observation, observe
from capgen.config import CalibrateConfig, DecodeOptions
from capgen.errors import DataError
from capgen.evaluation.calibration.confidence_fit import METRIC_NAMES, fit_confidence
from capgen.evaluation.calibration.negatives import draw_negatives
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.images.folders import find_images
from capgen.images.load import ImageSource
from capgen.metrics.score import score_captions
from capgen.models.folder import CALIBRATION_FILE
from capgen.records import CaptionFailure

_FEWEST = 50


@dataclass(frozen=True, kw_only=True)
class ImageObserved:
    """An image was captioned.

    Attributes:
        done: Images so far.
        total: Images in all.
        problem: Why it could not be, or an empty string: it is left out.
    """

    done: int
    total: int
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """The fit is there.

    Attributes:
        fit: The fit.
        quality: Figures by name, P(good) in them cross-validated.
    """

    fit: Fit
    quality: dict[str, float] = field(default_factory=dict)


def calibrate(
    captioner: Captioner,
    data: Sequence[EvaluationSet],
    *,
    options: DecodeOptions | None = None,
    config: CalibrateConfig | None = None,
    negatives: Path | None = None,
) -> Iterator[ImageObserved | Calibrated]:
    """Fit a confidence on splits of one or several data sets.

    Args:
        captioner: The model.
        data: Images with their references; not those that it will be judged on. A model that
            is for several kinds of images is best fitted on all of them.
        options: How to decode: the fit holds for these settings.
        config: What is good, and how to fit.
        negatives: A folder of further images of a kind that the model does not know.

    Yields:
        A `ImageObserved` an image, then one `Calibrated`.

    Raises:
        DataError: There are too few images, or none in `negatives`.
        MetricError: Too few of the captions are good, or too few are not.
        UsageError: The options do not suit the model.
    """
    config = config or CalibrateConfig()
    settings, _ = captioner.settings(options or DecodeOptions())
    given = [] if negatives is None else find_images(negatives, recursive=True)
    if negatives is not None and not given:
        raise DataError(f"{negatives} holds no images")
    examples = [example for one in data for example in one.examples]
    judged = [example.image for example in examples]
    drawn: Iterable[ImageSource] = draw_negatives(config.drawn, config.fit_seed)
    everything = itertools.chain[ImageSource](judged, given, drawn)
    total = len(judged) + len(given) + config.drawn
    seen: list[Observation | None] = []
    for found in observe(captioner, everything, settings, batch_size=config.batch_size):
        problem = ""
        if isinstance(found, CaptionFailure):
            problem = found.message
        elif not found.finite:
            problem = "the model's arithmetic overflowed on an image: try --dtype fp32"
        seen.append(None if isinstance(found, CaptionFailure) or problem else found)
        yield ImageObserved(done=len(seen), total=total, problem=problem)
    scores = _scores(data, seen[: len(judged)], config.metric)
    known = [found for found in seen[: len(judged)] if found is not None]
    unknown = [found for found in seen[len(judged) :] if found is not None]
    if len(known) < _FEWEST:
        raise DataError(f"{len(known)} images are too few to calibrate on: {_FEWEST} are needed")
    fit, quality = fit_confidence(known, scores, unknown, config)
    provenance = {
        "data": [one.to_dict() for one in data],
        "photos": len(known),
        "negatives": {"drawn": config.drawn, "given": len(given)},
        "runtime": captioner.runtime.name,
        "dtype": captioner.runtime.dtype,
        "fit_seed": config.fit_seed,
        "cross_validated": {name: round(value, 4) for name, value in quality.items()},
        "capgen": capgen.__version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    yield Calibrated(
        fit=dataclasses.replace(fit, settings=fitted_settings(settings), provenance=provenance),
        quality=quality,
    )


def _scores(
    data: Sequence[EvaluationSet], seen: Sequence[Observation | None], metric: str
) -> NDArray[np.float64]:
    """Score the captions of images, those that there are, in order, each data set by itself."""
    found: list[NDArray[np.float64]] = []
    left = iter(seen)
    for one in data:
        captions = {
            example.image_id: observed.text
            for example, observed in zip(one.examples, left, strict=False)
            if observed is not None
        }
        if captions:
            references = {image_id: one.by_id[image_id].references for image_id in captions}
            report = score_captions(captions, references, metrics=(metric,))
            found.append(np.asarray(report.per_image[METRIC_NAMES[metric]], np.float64))
    return np.concatenate(found) if found else np.zeros(0)


def store(captioner: Captioner, fit: Fit, path: Path | None = None) -> Path:
    """Write a fit into `calibration.json`, beside those for other ways of decoding.

    Fits for other weights are dropped.

    Args:
        captioner: The model that was calibrated.
        fit: The fit.
        path: Another file than the one in the model folder.

    Returns:
        The file.

    Raises:
        ModelError: The file that is there is damaged.
        StorageError: It cannot be written.
    """
    path = path or captioner.folder.path / CALIBRATION_FILE
    digest = weights_digest(captioner.folder)
    there = Calibration.read(path) if path.is_file() else Calibration(digest, ())
    if there.weights != digest:
        there = Calibration(digest, ())
    there.with_fit(fit).write(path)
    return path
