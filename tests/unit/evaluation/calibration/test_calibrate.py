"""Fit a confidence on synthetic observations with known probabilities."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from capgen.captioning.confidence.model import Fit, evidence
from capgen.captioning.confidence.observe import Observation
from capgen.captioning.decoding.hypotheses import hypothesis
from capgen.config import CalibrateConfig, DecodeSettings
from capgen.errors import DataError, MetricError, UsageError
from capgen.evaluation.calibration import calibrate as module
from capgen.evaluation.calibration import logistic
from capgen.evaluation.calibration.calibrate import Calibrated, calibrate
from capgen.evaluation.calibration.confidence_fit import (
    confidence,
    find_subspace,
    fit_confidence,
    good_regression,
)
from capgen.evaluation.calibration.negatives import KINDS, draw_negatives
from capgen.evaluation.calibration.reliability import calibration_error
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.records import Example
from tests.unit.evaluation.sets import GOOD as WELL
from tests.unit.evaluation.sets import REFERENCES

GOOD, BAD = WELL["dog.jpg"], "seven purple elephants"
WIDTH = 40


def image(random: np.random.Generator, unknown: bool = False) -> tuple[Observation, float]:
    """An observation of an image: the more probable its caption, the more often it is good."""
    level = float(random.uniform(-2.0, 0.0))
    chance = 1 / (1 + np.exp(-(3 + 3 * level)))
    text = GOOD if random.random() < chance else BAD
    parts = level + random.normal(0, 0.02, 6).clip(-0.05, 0.05) - 0.05
    summary = random.normal(0, 1, WIDTH) * np.linspace(2, 0.1, WIDTH)
    if unknown:
        summary = summary[::-1] * 4
    return Observation(text, evidence([hypothesis(range(6), parts, 1.0)]), summary), chance


def observations(
    count: int, seed: int, unknown: bool = False
) -> tuple[list[Observation], np.ndarray]:
    random = np.random.default_rng(seed)
    drawn = [image(random, unknown) for _ in range(count)]
    return [item for item, _ in drawn], np.array([chance for _, chance in drawn])


def judged(count: int) -> EvaluationSet:
    pool = tuple(
        Example(image_id=str(n), image=f"{n}.jpg", references=REFERENCES["dog.jpg"], split="val")  # type: ignore[arg-type]
        for n in range(count)
    )
    return EvaluationSet(name="made", split="val", pool=pool)


def fitted(
    seen: list[Observation], unknown: list[Observation], config: CalibrateConfig | None = None
) -> tuple[Fit, dict[str, float]]:
    """The fit on observations whose captions are wholly right or wholly wrong."""
    scores = np.array([float(one.text == GOOD) for one in seen])
    return fit_confidence(seen, scores, unknown, config or CalibrateConfig())


def test_the_fit_finds_the_chances() -> None:
    seen, _ = observations(800, 0)
    unknown, _ = observations(150, 1, unknown=True)
    fit, quality = fitted(seen, unknown)
    fresh, chances = observations(600, 2)
    sure = np.array([confidence(fit, one) for one in fresh])
    assert np.abs(sure - chances).mean() < 0.06
    labels = np.array([float(one.text == GOOD) for one in fresh])
    assert calibration_error(sure, labels) < 0.07
    others = np.array([confidence(fit, one) for one in observations(100, 3, unknown=True)[0]])
    assert np.median(others) < 0.1 < np.median(sure)
    assert quality["auroc_photos"] > 0.95
    assert quality["good"] == pytest.approx(np.mean([one.text == GOOD for one in seen]))
    assert fit.definition == {"metric": "METEOR", "threshold": pytest.approx(1 / 3)}


def test_images_that_overflow_half_precision_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, _ = observations(200, 0)
    unknown, _ = observations(30, 1, unknown=True)
    broken = np.full(WIDTH, np.nan)
    seen[7], unknown[3] = (one._replace(summary=broken) for one in (seen[7], unknown[3]))
    monkeypatch.setattr(module, "observe", lambda *_, **__: iter([*seen, *unknown]))
    captioner: Any = SimpleNamespace(
        settings=lambda options: (DecodeSettings(), ()),
        runtime=SimpleNamespace(name="torch", dtype="float16"),
        prompting=SimpleNamespace(asked={}),
    )
    *events, last = calibrate(
        captioner, [judged(120), judged(80)], config=CalibrateConfig(drawn=30)
    )
    assert isinstance(last, Calibrated)
    assert [n for n, one in enumerate(events) if "overflowed" in one.problem] == [7, 203]  # type: ignore[union-attr]
    assert last.fit.provenance["photos"] == 199
    assert np.isfinite(list(last.quality.values())).all()
    # Each data set's captions were judged by its own references.
    texts = [one.text for number, one in enumerate(seen) if number != 7]
    assert last.quality["good"] == pytest.approx(np.mean([text == GOOD for text in texts]))
    assert [one["images"] for one in last.fit.provenance["data"]] == [120, 80]


def test_too_few_images_are_refused_before_any_is_captioned() -> None:
    captioner: Any = SimpleNamespace(settings=lambda options: (DecodeSettings(), ()))
    with pytest.raises(DataError, match="at least 50 images, and has 12"):
        next(iter(calibrate(captioner, [judged(8), judged(4)])))


def test_without_negatives() -> None:
    seen, _ = observations(200, 0)
    fit, quality = fitted(seen, [])
    assert "auroc_photos" not in quality
    fresh, chances = observations(200, 2)
    assert np.abs([confidence(fit, one) for one in fresh] - chances).mean() < 0.1


def test_the_fit_can_be_repeated() -> None:
    seen, _ = observations(120, 0)
    first, second = (fitted(seen, seen[:30], CalibrateConfig(fit_seed=4))[0] for _ in range(2))
    assert [confidence(first, one) for one in seen] == [confidence(second, one) for one in seen]


def test_how_far_a_score_is_from_the_threshold_counts() -> None:
    """Soft labels find the direction of a feature with less data than hard labels."""
    random = np.random.default_rng(0)
    table = random.normal(0, 1, (100, 30))
    scores = 0.5 + table[:, 0] + random.normal(0, 0.3, 100)
    fold = logistic.folds(100, 10, 0)
    graded = good_regression(table, scores, 0.5, fold)
    good = (scores >= 0.5).astype(float)
    ridge = logistic.best_ridge(table, good, fold)
    plain = logistic.fit(table, good, ridge).weights

    def cosine(weights: np.ndarray) -> float:
        return float(weights[0] / np.linalg.norm(weights))

    assert cosine(graded.weights) > cosine(plain) + 0.02
    fresh = random.normal(0, 1, (4000, 30))
    above = (fresh[:, 0] + random.normal(0, 0.3, 4000) >= 0).astype(float)
    chances = logistic.probability(fresh @ graded.weights + graded.bias)
    assert calibration_error(chances, above) < 0.06


def test_nothing_to_fit_where_all_is_good() -> None:
    seen = [one._replace(text=GOOD) for one in observations(80, 0)[0]]
    with pytest.raises(MetricError, match="80 of 80 captions are good"):
        fitted(seen, [])


def test_a_summary_that_never_changes() -> None:
    subspace = find_subspace(np.ones((60, 5)))
    assert np.isfinite(subspace.measure(np.ones(5))).all()
    assert np.isfinite(subspace.measure(np.zeros(5))).all()


def test_which_metric_and_from_where() -> None:
    assert CalibrateConfig(metric="cider_d").good_from == 0.25
    assert CalibrateConfig(threshold=0.4).good_from == 0.4
    with pytest.raises(UsageError, match="--metric"):
        CalibrateConfig(metric="bleu")
    with pytest.raises(UsageError, match="--threshold"):
        CalibrateConfig(threshold=-1.0)


def test_drawn_negatives() -> None:
    first, again = (list(draw_negatives(2 * len(KINDS), seed=5)) for _ in range(2))
    other = list(draw_negatives(len(KINDS), seed=6))
    contents = [image.tobytes() for image in first]
    assert contents == [image.tobytes() for image in again]
    assert len(set(contents)) == 2 * len(KINDS)
    assert not set(contents) & {image.tobytes() for image in other}
    assert {(image.mode, image.size) for image in first} == {("RGB", (400, 320))}
