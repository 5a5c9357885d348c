"""Which images of an evaluation a report shows: the best, the worst, and random ones."""

from __future__ import annotations

import random

import numpy as np

from capgen.evaluation.result import Evaluation
from capgen.metrics.definitions import LOWER_IS_BETTER
from capgen.metrics.score_report import ScoreReport

# Images are ranked by the first of these that was measured and is not constant.
_RANKING = ("CIDEr-D", "METEOR", "ROUGE-L", "BLEU-4")


def ranking_metric(scores: ScoreReport) -> str:
    """Return the metric that images are ranked by: if possible, one of which more is better."""
    others = sorted(scores.corpus, key=lambda name: name in LOWER_IS_BETTER)
    measured = [name for name in (*_RANKING, *others) if name in scores.per_image]
    varying = [name for name in measured if np.ptp(scores.per_image[name])]
    return (varying or measured or list(scores.per_image))[0]


def best(evaluation: Evaluation, count: int) -> list[str]:
    """Return the images with the highest scores, best first."""
    return _ranked(evaluation)[::-1][:count]


def worst(evaluation: Evaluation, count: int) -> list[str]:
    """Return the images with the lowest scores, worst first."""
    return _ranked(evaluation)[:count]


def drawn(evaluation: Evaluation, count: int, *, seed: int) -> list[str]:
    """Return random images; with the same seed, a larger `count` extends a smaller one."""
    images = list(evaluation.captions)
    random.Random(seed).shuffle(images)
    return images[:count]


def _ranked(evaluation: Evaluation) -> list[str]:
    scores = evaluation.scores
    metric = ranking_metric(scores)
    values = scores.per_image[metric] * (-1 if metric in LOWER_IS_BETTER else 1)
    return [scores.image_ids[row] for row in np.argsort(values, kind="stable")]
