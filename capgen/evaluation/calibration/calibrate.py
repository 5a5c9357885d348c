"""Calibrate a captioner: caption photos that can be judged, and negatives, and fit a confidence.

A caption is good if its score against the image's references reaches a threshold, or if people who
reviewed the same caption took it as it is.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import capgen
from capgen.captioning.captioner import Captioner
from capgen.captioning.confidence.calibration_file import Calibration
from capgen.captioning.confidence.model import Fit, fitted_settings
from capgen.captioning.confidence.observe import Observation, observe
from capgen.config import CalibrateConfig, DecodeOptions
from capgen.errors import DataError, UsageError
from capgen.evaluation.calibration.confidence_fit import METRIC_NAMES, fit_confidence
from capgen.evaluation.calibration.negatives import draw_negatives
from capgen.evaluation.calibration.reviewed_images import ReviewedImages
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.images.folders import find_images
from capgen.images.load import ImageSource
from capgen.metrics.score import score_captions
from capgen.paths import storage_errors
from capgen.records import CaptionFailure

_MIN_IMAGES = 50
_REVIEWS_HINT = (
    "Review more captions of this model, made with the same decoding settings. Reviews of other "
    "captions do not count."
)


@dataclass(frozen=True, kw_only=True)
class ImageObserved:
    """An image was captioned, or left out because of `problem`."""

    done: int
    total: int
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """The confidence was fitted; `quality` has cross-validated figures by name."""

    fit: Fit
    quality: dict[str, float] = field(default_factory=dict)


def calibrate(
    captioner: Captioner,
    data: Sequence[EvaluationSet] | ReviewedImages,
    *,
    options: DecodeOptions | None = None,
    config: CalibrateConfig | None = None,
    negatives: Path | None = None,
) -> Iterator[ImageObserved | Calibrated]:
    """Fit a confidence on splits of one or several data sets, or on reviews.

    Args:
        captioner: The model.
        data: Images with references, other than those for evaluating the model. For several
            kinds of images, give a set of each. Or images whose captions people reviewed.
        options: How to decode: the fit is valid for these settings.
        config: When a caption is good, and how to fit.
        negatives: A folder of further images of a kind that the model does not know.

    Yields:
        One `ImageObserved` per image, then one `Calibrated`.
    """
    config = config or CalibrateConfig()
    settings, _ = captioner.settings(options or DecodeOptions())
    if settings.avoid_words or settings.include_words:
        raise UsageError("A confidence cannot be fitted to captions with words that were asked for")
    given = [] if negatives is None else find_images(negatives, recursive=True)
    if negatives is not None and not given:
        raise DataError(f"{negatives} contains no images")
    photos = images_of(data)
    _check_enough(len(photos), data)  # before the work, and again for what came of it
    drawn: Iterable[ImageSource] = draw_negatives(config.drawn, config.fit_seed)
    images = itertools.chain[ImageSource](photos, given, drawn)
    total = len(photos) + len(given) + config.drawn
    observations: list[Observation | None] = []
    for outcome in observe(captioner, images, settings, batch_size=config.batch_size):
        problem = ""
        if isinstance(outcome, CaptionFailure):
            problem = outcome.message
        elif not outcome.finite:
            problem = "the model's arithmetic overflowed on an image: try --dtype fp32"
        observations.append(None if isinstance(outcome, CaptionFailure) or problem else outcome)
        yield ImageObserved(done=len(observations), total=total, problem=problem)
    known, scores, described = _judged(data, observations[: len(photos)], config.metric)
    unknown = [item for item in observations[len(photos) :] if item is not None]
    reviewed = isinstance(data, ReviewedImages)
    _check_enough(len(known), data)
    fit, quality = fit_confidence(known, scores, unknown, config, reviewed=reviewed)
    provenance = {
        "data": described,
        "photos": len(known),
        "negatives": {"drawn": config.drawn, "given": len(given)},
        "runtime": captioner.runtime.name,
        "dtype": captioner.runtime.dtype,
        "fit_seed": config.fit_seed,
        "cross_validated": {name: round(value, 4) for name, value in quality.items()},
        "capgen": capgen.__version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    fit = dataclasses.replace(
        fit,
        settings=fitted_settings(settings),
        provenance=provenance,
        asked=captioner.prompting.asked,
    )
    yield Calibrated(fit=fit, quality=quality)


def images_of(data: Sequence[EvaluationSet] | ReviewedImages) -> Sequence[Path]:
    """Return the images that a confidence is fitted on."""
    if isinstance(data, ReviewedImages):
        return data.images
    return [example.image for eval_set in data for example in eval_set.examples]


def _check_enough(images: int, data: Sequence[EvaluationSet] | ReviewedImages) -> None:
    if images < _MIN_IMAGES:
        raise DataError(
            f"Calibration needs at least {_MIN_IMAGES} images, and has {images}",
            hint=_REVIEWS_HINT if isinstance(data, ReviewedImages) else "",
        )


def _judged(
    data: Sequence[EvaluationSet] | ReviewedImages,
    observations: Sequence[Observation | None],
    metric: str,
) -> tuple[list[Observation], NDArray[np.float64], list[dict[str, Any]]]:
    """Return the captions that can be judged, their scores, and what the data is."""
    if not isinstance(data, ReviewedImages):
        known = [item for item in observations if item is not None]
        return known, _scores(data, observations, metric), [part.to_dict() for part in data]
    right = data.right(observations)
    pairs = zip(observations, ~np.isnan(right), strict=True)
    judged = [item for item, known in pairs if known and item is not None]
    return judged, right[~np.isnan(right)], [data.to_dict(right)]


def _scores(
    data: Sequence[EvaluationSet], observations: Sequence[Observation | None], metric: str
) -> NDArray[np.float64]:
    """Return the scores of the captions that exist, in order; each data set is scored alone."""
    scores: list[NDArray[np.float64]] = []
    remaining = iter(observations)
    for eval_set in data:
        captions = {
            example.image_id: observation.text
            for example, observation in zip(eval_set.examples, remaining, strict=False)
            if observation is not None
        }
        if captions:
            references = {image_id: eval_set.by_id[image_id].references for image_id in captions}
            report = score_captions(captions, references, metrics=(metric,))
            scores.append(np.asarray(report.per_image[METRIC_NAMES[metric]], np.float64))
    return np.concatenate(scores) if scores else np.zeros(0)


def store(captioner: Captioner, fit: Fit, path: Path | None = None) -> Path:
    """Add a fit to the model's `calibration.json`, or to `path`, and return the file.

    Models on servers have theirs in capgen's data folder.

    Fits for other decoding settings are kept; fits for other weights are dropped.
    """
    place = captioner.calibration_place
    path, digest = path or place.path, place.digest()
    calibration = Calibration(digest, ())
    if path.is_file() and (existing := Calibration.read(path)).weights == digest:
        calibration = existing
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    calibration.with_fit(fit).write(path)
    return path
