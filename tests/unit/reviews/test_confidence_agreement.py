from __future__ import annotations

import random

import pytest

from capgen.reviews.confidence_agreement import agreement
from capgen.reviews.judgement import Judgement
from tests.unit.reviews.made import caption, review


def judged(confidence: float | None, right: bool, number: int = 0) -> Judgement:
    verdict = "accepted" if right else "rejected"
    return Judgement(record=caption(number, confidence), review=review(verdict), right=right)


def test_bins_of_equal_count() -> None:
    captions = [judged(number / 100, number >= 50) for number in range(100)]
    random.Random(0).shuffle(captions)
    found = agreement(captions)
    assert [one.reviewed for one in found.bins] == [10] * 10
    assert [one.right for one in found.bins] == [0] * 5 + [10] * 5
    assert (found.bins[3].low, found.bins[3].high) == (0.3, 0.39)
    assert found.bins[3].mean_confidence == pytest.approx(0.345)
    # Means of .045 to .445 where none is right, and of .545 to .945 where all are.
    assert found.expected_calibration_error == pytest.approx((0.245 + 0.255) / 2)


def test_equal_confidences_are_in_one_bin() -> None:
    found = agreement([judged(0.5, number < 30) for number in range(60)])
    (only,) = found.bins
    assert (only.reviewed, only.right, only.low, only.high) == (60, 30, 0.5, 0.5)
    assert found.expected_calibration_error == 0
    found = agreement([judged(0.2 if number < 33 else 0.9, True) for number in range(60)])
    assert [one.reviewed for one in found.bins] == [33, 27]


def test_few_reviews_make_few_bins() -> None:
    assert [one.reviewed for one in agreement([judged(0.1, True)] * 7).bins] == [7]
    assert [one.reviewed for one in agreement([judged(n / 30, True) for n in range(25)]).bins] == [
        12,
        13,
    ]
    assert agreement([]).expected_calibration_error is None


def test_the_json_form_counts_every_review() -> None:
    other = Judgement(record=caption(5, 0.4), review=review("edited", "x", "y"), right=None)
    unreviewed = Judgement(record=caption(6, 0.4), review=None, right=None)
    found = agreement([judged(0.5, True), judged(None, False), other, unreviewed]).to_dict()
    assert found == {
        "bins": [{"from": 0.5, "to": 0.5, "reviewed": 1, "accepted": 1, "mean_confidence": 0.5}],
        "expected_calibration_error": 0.5,
        "reviewed": 3,
        "accepted": 1,
        "edited": 1,
        "rejected": 1,
    }
