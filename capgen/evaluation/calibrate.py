"""Fit a captioner's confidence: caption photos with references, and pictures that are none.

A caption is good where its score against the photo's own references reaches a threshold.
The fit has three parts:

1. P(good), on the photos: a ridge regression over `capgen.inference.confidence.FEATURES`;
2. P(known kind of picture), photos against pictures that are no photos;
3. a line through the log-odds of the product, on the photos, so that 2 does not cost 1 its
   calibration (Platt scaling).

The ridge of 1, the line and the figures of quality take P(good) of a photo from a fit on other
photos (cross-validation). 2 and 3 are judged on what they were fitted on: they have six numbers.
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
from capgen.config import CalibrateConfig, DecodeOptions
from capgen.errors import DataError, ImageError, MetricError
from capgen.evaluation import logistic
from capgen.evaluation.data import EvaluationSet
from capgen.evaluation.negatives import draw_negatives
from capgen.evaluation.reliability import auroc, calibration_error, lift
from capgen.inference.calibration import Calibration, weights_digest
from capgen.inference.captioner import Captioner
from capgen.inference.confidence import (
    DISTANCES,
    EVIDENCE,
    FEATURES,
    LARGEST,
    Fit,
    Regression,
    Subspace,
    features,
    fitted_settings,
)
from capgen.inference.folders import find_images
from capgen.inference.observing import Observation, observe
from capgen.inference.prepared import ImageInput
from capgen.metrics.score import score
from capgen.models.folder import CALIBRATION_FILE

Reals = NDArray[np.float64]

METRIC_NAMES = {"meteor": "METEOR", "cider_d": "CIDEr-D"}
# What tells pictures of a strange kind: few features, since the examples of it are few kinds.
_STRANGE = (*DISTANCES, EVIDENCE[0])
_STRANGE_RIDGE = 10.0
_DIRECTIONS = 32
_FEWEST = 50


@dataclass(frozen=True, kw_only=True)
class PictureObserved:
    """A picture was captioned.

    Attributes:
        done: Pictures so far.
        total: Pictures in all.
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
    data: EvaluationSet,
    *,
    options: DecodeOptions | None = None,
    config: CalibrateConfig | None = None,
    negatives: Path | None = None,
) -> Iterator[PictureObserved | Calibrated]:
    """Fit a confidence on a split.

    Args:
        captioner: The model.
        data: The photos with their references; not those that it will be judged on.
        options: How to decode: the fit holds for these settings.
        config: What is good, and how to fit.
        negatives: A folder of further pictures of a kind that the model does not know.

    Yields:
        A `PictureObserved` a picture, then one `Calibrated`.

    Raises:
        DataError: There are too few photos, or no pictures in `negatives`.
        MetricError: Too few of the captions are good, or too few are not.
        UsageError: The options do not suit the model.
    """
    config = config or CalibrateConfig()
    settings, _ = captioner.settings(options or DecodeOptions())
    given = [] if negatives is None else find_images(negatives, recursive=True)
    if negatives is not None and not given:
        raise DataError(f"{negatives} holds no pictures")
    photos = [example.image for example in data.examples]
    drawn: Iterable[ImageInput] = draw_negatives(config.drawn, config.fit_seed)
    pictures = itertools.chain[ImageInput](photos, given, drawn)
    total = len(photos) + len(given) + config.drawn
    seen: list[Observation | None] = []
    for found in observe(captioner, pictures, settings, batch_size=config.batch_size):
        problem = ""
        if isinstance(found, ImageError):
            problem = found.message
        elif not found.finite:
            problem = "the model's arithmetic overflowed on a picture: try --dtype fp32"
        seen.append(None if isinstance(found, ImageError) or problem else found)
        yield PictureObserved(done=len(seen), total=total, problem=problem)
    known = {
        example.image_id: found
        for example, found in zip(data.examples, seen, strict=False)
        if found is not None
    }
    unknown = [found for found in seen[len(photos) :] if found is not None]
    if len(known) < _FEWEST:
        raise DataError(f"{len(known)} photos are too few to calibrate on: {_FEWEST} are needed")
    fit, quality = fit_confidence(known, unknown, data, config)
    provenance = {
        "data": data.to_dict(),
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


def fit_confidence(
    known: dict[str, Observation],
    unknown: Sequence[Observation],
    data: EvaluationSet,
    config: CalibrateConfig,
) -> tuple[Fit, dict[str, float]]:
    """Fit on observations that are there; also return cross-validated figures.

    Args:
        known: Photo → observation.
        unknown: Observations of pictures that are no photos; may be empty.
        data: The references of the photos.
        config: What is good, and how to fit.

    Raises:
        MetricError: Too few of the captions are good, or too few are not.
    """
    scores = _scores(known, data, config.metric)
    good = (scores >= config.good_from).astype(float)
    if not 10 <= good.sum() <= len(good) - 10:
        raise MetricError(
            f"{int(good.sum())} of {len(good)} captions are good: nothing to fit",
            hint="Choose another --threshold.",
        )
    subspace = find_subspace(np.array([found.summary for found in known.values()], np.float64))
    inside = _table(subspace, list(known.values()))
    outside = _table(subspace, unknown)
    fold = logistic.folds(len(good), config.folds, config.fit_seed)

    mean, scale = _moments(inside)
    standard = _standard(inside, mean, scale)
    ridge = logistic.best_ridge(standard, good, fold)
    chosen = logistic.fit(standard, good, ridge)
    unseen = logistic.unseen(standard, good, fold, ridge)

    columns = [FEATURES.index(name) for name in _STRANGE]
    strangeness = _known_kind(standard[:, columns], _standard(outside, mean, scale)[:, columns])
    kind = logistic.probability(standard[:, columns] @ strangeness.weights + strangeness.bias)
    both = np.clip(logistic.probability(unseen) * kind, 1e-9, 1 - 1e-9)
    line = logistic.fit(np.log(both / (1 - both))[:, None], good, 0.0)
    chances = logistic.probability(np.log(both / (1 - both)) * line.weights[0] + line.bias)
    fit = Fit(
        settings={},
        subspace=subspace,
        good=Regression(
            features=FEATURES, mean=mean, scale=scale, weights=chosen.weights, bias=chosen.bias
        ),
        known=Regression(
            features=_STRANGE,
            mean=mean[columns],
            scale=scale[columns],
            weights=strangeness.weights,
            bias=strangeness.bias,
        ),
        slope=float(line.weights[0]),
        intercept=line.bias,
        definition={"metric": METRIC_NAMES[config.metric], "threshold": config.good_from},
    )
    quality = {
        "good": float(good.mean()),
        "ridge": ridge,
        "log_loss": logistic.log_loss(chances, good),
        "calibration_error": calibration_error(chances, good),
        "auroc_good": auroc(chances[good == 1], chances[good == 0]),
        "lift_of_half": lift(chances, scores),
    }
    if unknown:
        strange = np.array([confidence(fit, found) for found in unknown])
        quality["auroc_photos"] = auroc(chances, strange)
    return fit, quality


def confidence(fit: Fit, found: Observation) -> float:
    """Return the confidence that a fit gives to an observation."""
    return fit.chance(features(fit.subspace, found.evidence, found.summary))


def find_subspace(summaries: Reals) -> Subspace:
    """Return where (n, D) encoder summaries lie: principal components."""
    mean = summaries.mean(axis=0)
    _, lengths, directions = np.linalg.svd(summaries - mean, full_matrices=False)
    deviation = lengths / np.sqrt(len(summaries))
    count = min(_DIRECTIONS, len(summaries) // 10, int((deviation > 1e-6).sum()))
    count = max(1, count)
    variance = float((deviation**2).sum())
    return Subspace(
        mean=mean,
        basis=directions[:count],
        deviation=np.maximum(deviation[:count], 1e-6),
        floor=max(1e-3 * variance, 1e-9),
    )


def _scores(known: dict[str, Observation], data: EvaluationSet, metric: str) -> Reals:
    captions = {image_id: found.text for image_id, found in known.items()}
    references = {image_id: data.by_id[image_id].references for image_id in captions}
    report = score(captions, references, metrics=(metric,))
    return np.asarray(report.per_image[METRIC_NAMES[metric]], np.float64)


def _table(subspace: Subspace, seen: Sequence[Observation]) -> Reals:
    """Return (n, features) in the order of `FEATURES`."""
    rows: list[list[Any]] = [
        list(features(subspace, found.evidence, found.summary).values()) for found in seen
    ]
    return np.array(rows).reshape(len(rows), len(FEATURES))


def _moments(table: Reals) -> tuple[Reals, Reals]:
    """Return mean and deviation of each feature; 1 for one that never changes."""
    scale = table.std(axis=0)
    return table.mean(axis=0), np.where(scale > 1e-6, scale, 1.0)


def _standard(table: Reals, mean: Reals, scale: Reals) -> Reals:
    return np.clip((table - mean) / scale, -LARGEST, LARGEST)


def _known_kind(inside: Reals, outside: Reals) -> logistic.Weights:
    """Fit P(known kind); certain where there is nothing to compare with."""
    if not len(outside):
        return logistic.Weights(np.zeros(inside.shape[1]), 20.0)
    labels = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    return logistic.fit(np.concatenate([inside, outside]), labels, _STRANGE_RIDGE)
