"""Which images of an evaluation to look at: the best, the worst, and some at random."""

from __future__ import annotations

import random

import numpy as np

from capgen.evaluation.result import Evaluation
from capgen.metrics.score import ScoreReport

# The first of these that was measured, and that tells images apart, ranks them.
_RANKING = ("CIDEr-D", "METEOR", "ROUGE-L", "BLEU-4")


def ranking_metric(scores: ScoreReport) -> str:
    """Return the metric that images are ranked by."""
    known = [name for name in (*_RANKING, *scores.corpus) if name in scores.per_image]
    telling = [name for name in known if np.ptp(scores.per_image[name])]
    return (telling or known)[0]


def best(evaluation: Evaluation, count: int) -> list[str]:
    """Return the images with the highest scores, best first."""
    return _ranked(evaluation)[::-1][:count]


def worst(evaluation: Evaluation, count: int) -> list[str]:
    """Return the images with the lowest scores, worst first."""
    return _ranked(evaluation)[:count]


def drawn(evaluation: Evaluation, count: int, *, seed: int) -> list[str]:
    """Return images drawn at random; more of them begin with the same ones."""
    images = list(evaluation.captions)
    random.Random(seed).shuffle(images)
    return images[:count]


def _ranked(evaluation: Evaluation) -> list[str]:
    scores = evaluation.scores
    values = scores.per_image[ranking_metric(scores)]
    return [scores.image_ids[row] for row in np.argsort(values, kind="stable")]
