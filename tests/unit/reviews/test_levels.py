"""The thresholds that are tried depend on confidences alone, and their captions are counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capgen.reviews.levels import Candidate, levels_of


def test_levels_are_cumulative_and_made_without_labels() -> None:
    random = np.random.default_rng(0)
    sampled = set(random.choice(1234, 200, replace=False).tolist())
    candidates = [
        Candidate(
            confidence=confidence,
            reviewed=number in sampled,
            right=bool(random.random() < confidence) if number in sampled else None,
        )
        for number, confidence in enumerate(random.random(1234).tolist())
    ]
    levels = levels_of(candidates)
    assert len(levels) == 50
    for level in levels:
        above = [one for one in candidates if one.confidence >= level.threshold]
        assert level.captions == len(above)
        assert level.unreviewed == sum(not one.reviewed for one in above)
        assert level.sampled == sum(one.right is not None for one in above)
        assert level.wrong == sum(one.right is False for one in above)
        assert len(repr(level.threshold)) <= 7
    blind = levels_of([replace(one, right=one.right and None) for one in candidates])
    assert [one.threshold for one in blind] == [one.threshold for one in levels]
    assert levels[-1].captions == 1234


def test_equal_and_odd_confidences() -> None:
    same = [Candidate(confidence=0.5, reviewed=False)] * 7
    assert [(one.threshold, one.captions) for one in levels_of(same)] == [(0.5, 7)]
    close = [Candidate(confidence=value, reviewed=False) for value in (0.5, 0.5 + 1e-12)]
    first, second = levels_of(close)
    assert 0.5 < first.threshold <= 0.5 + 1e-12 and second.threshold == 0.5
    # Captions without a confidence count as 0 elsewhere, and are not meant.
    assert levels_of([replace(same[0], confidence=1e-9)])[0].threshold > 0
    below_zero = [Candidate(confidence=-3.5, reviewed=False)]
    assert levels_of(below_zero)[0].threshold == -3.5
