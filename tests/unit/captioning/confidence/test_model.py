"""From hypotheses and encoder summaries to a probability."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.captioning.confidence.model import (
    EVIDENCE,
    FEATURES,
    Fit,
    evidence,
    same_decoding,
)
from capgen.captioning.decoding.hypotheses import Hypothesis, hypothesis
from capgen.config import DecodeOptions, DecodeSettings, resolve_decoding
from capgen.errors import ModelError
from tests.confidences import make_fit, make_subspace


def told(*captions: Hypothesis) -> dict[str, float]:
    return dict(zip(EVIDENCE, evidence(captions), strict=True))


def test_evidence_by_hand() -> None:
    found = told(
        hypothesis([5, 6, 7, 2], [-0.1, -0.5, -0.2, -0.4], 1.0),
        hypothesis([5, 6, 2], [-0.5, -0.5, -0.5], 1.0),
        hypothesis([8, 9], [-1.0, -1.0], 1.0),
    )
    assert found["log_probability_mean"] == pytest.approx(-0.3)
    assert found["log_probability_least"] == pytest.approx(-0.5)
    assert found["log_probability_second_least"] == pytest.approx(-0.4)
    assert found["log_probability_sum"] == pytest.approx(-1.2)
    assert found["log_probability_opening"] == pytest.approx(-0.8)
    assert found["length"] == 4
    assert found["margin"] == pytest.approx(-0.3 + 0.5)
    assert found["spread"] == pytest.approx(-0.3 + 1.0)
    shares = np.exp([-1.2, -1.5, -2.0]) / np.exp([-1.2, -1.5, -2.0]).sum()
    assert found["entropy"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert found["agreement"] == pytest.approx((2 * 3 / 7 + 0) / 2)


def test_evidence_of_a_single_hypothesis() -> None:
    found = told(hypothesis([5, 2], [-0.1, -0.2], 1.0))
    assert (found["margin"], found["spread"], found["entropy"], found["agreement"]) == (0, 0, 0, 1)


log_probabilities = st.lists(st.floats(max_value=0, allow_nan=False), min_size=0, max_size=30)


@given(st.lists(log_probabilities, min_size=1, max_size=5), st.floats(-1e6, 1e6))
def test_a_confidence_is_a_probability_whatever_comes(
    captions: list[list[float]], place: float
) -> None:
    fit = make_fit()
    found = [hypothesis(range(len(parts)), parts, 1.0) for parts in captions]
    sure = fit.confidence(found, np.full(4, place, np.float32))
    assert 0.0 <= sure <= 1.0


def test_what_is_far_from_the_known_is_not_trusted() -> None:
    fit = make_fit()
    caption = [hypothesis([5, 2], [-0.1, -0.1], 1.0)]
    near = fit.confidence(caption, np.zeros(4, np.float32))
    far = fit.confidence(caption, np.full(4, 50.0, np.float32))
    assert near > 0.5 > far


def test_likelier_captions_get_more_confidence() -> None:
    fit = make_fit()
    known = np.zeros(4, np.float32)
    likely = fit.confidence([hypothesis([5, 2], [-0.1, -0.1], 1.0)], known)
    unlikely = fit.confidence([hypothesis([5, 2], [-3.0, -3.0], 1.0)], known)
    assert likely > unlikely


def test_half_precision_that_overflowed() -> None:
    caption = [hypothesis([5, 2], [-0.1, -0.1], 1.0)]
    assert make_fit().confidence(caption, np.array([0, np.nan, 0, np.inf])) == 0.0
    overflowed = [hypothesis([5, 2], [-0.1, np.nan], 1.0)]
    assert make_fit().confidence(overflowed, np.zeros(4)) == 0.0


def test_another_models_fit_is_refused() -> None:
    caption = [hypothesis([5, 2], [-0.1, -0.1], 1.0)]
    with pytest.raises(ModelError, match="4 features per image, but the model gives 6"):
        make_fit().confidence(caption, np.zeros(6))


def test_distances_inside_and_outside_the_subspace() -> None:
    subspace = make_subspace()
    inside, outside, first, second, *rest = subspace.measure(np.array([3.0, 4.0, 0.0, 0.0]))
    assert inside == pytest.approx(np.log((9 + 4) / 2))  # deviations are 1 and 2
    assert (first, second) == (3.0, 2.0)
    assert outside == pytest.approx(np.log(subspace.floor))
    assert not any(rest)
    beyond = subspace.measure(np.array([0.0, 0.0, 6.0, 8.0]))
    assert beyond[1] == pytest.approx(np.log(100 + subspace.floor))


def settings(**options: object) -> DecodeSettings:
    return resolve_decoding(DecodeOptions(**options), {"num_beams": 3}, positions=24)[0]  # type: ignore[arg-type]


def test_which_settings_a_fit_holds_for() -> None:
    fitted = settings().to_dict()
    for same in ({"beams": 3}, {"seed": 4}, {"num_captions": 2}, {"min_confidence": 0.5}):
        assert same_decoding(settings(**same), fitted), same
    for other in ({"beams": 4}, {"temperature": 0.7}, {"length_penalty": 2.0}, {"max_length": 9}):
        assert not same_decoding(settings(**other), fitted), other


def test_of_samples_the_number_counts() -> None:
    fitted = settings(temperature=0.7, seed=1).to_dict()
    assert same_decoding(settings(temperature=0.7, seed=2), fitted)
    assert not same_decoding(settings(temperature=0.7, num_captions=5), fitted)


def test_a_setting_that_the_fit_does_not_know_had_its_default() -> None:
    fitted = settings().to_dict()
    del fitted["repetition_penalty"]
    assert same_decoding(settings(), fitted)
    assert not same_decoding(settings(repetition_penalty=1.3), fitted)


def test_fits_from_before_nouns_were_said_once_hold_where_they_may_be_said_again() -> None:
    fitted = settings().to_dict()
    assert fitted["repeat_nouns"] is False
    assert same_decoding(settings(), fitted)
    assert not same_decoding(settings(repeat_nouns=True), fitted)
    del fitted["repeat_nouns"]
    assert not same_decoding(settings(), fitted)
    assert same_decoding(settings(repeat_nouns=True), fitted)


def test_a_least_confidence_asks_for_confidence() -> None:
    assert settings(min_confidence=0.0).confidence
    assert settings(confidence=True).confidence
    assert not settings().confidence


def test_the_last_correction_shifts_the_odds() -> None:
    fit = make_fit()
    values = dict.fromkeys(FEATURES, 0.0)
    plain = fit.chance(values)
    shifted = dataclasses.replace(fit, intercept=1.0).chance(values)
    odds = [np.log(p / (1 - p)) for p in (plain, shifted)]
    assert odds[1] - odds[0] == pytest.approx(1.0)
    assert isinstance(fit, Fit)
