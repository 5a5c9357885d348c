"""Penalties, bars and warps, held to transformers' own LogitsProcessors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from transformers import (
    LogitsProcessorList,
    MinLengthLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from capgen.captioning.decoding import score_processors
from capgen.captioning.decoding.beam_search import needs_all_scores
from capgen.config import DecodeSettings

VOCABULARY = 7
floats = st.floats(-30, 30, width=32)
scores_of = st.integers(1, 4).flatmap(
    lambda rows: st.tuples(
        npst.arrays(np.float32, (rows, VOCABULARY), elements=floats),
        st.integers(1, 9).flatmap(
            lambda length: npst.arrays(
                np.int64, (rows, length), elements=st.integers(0, VOCABULARY - 1)
            )
        ),
    )
)


def theirs(parts: list, history: np.ndarray, scores: np.ndarray) -> np.ndarray:
    output = LogitsProcessorList(parts)(torch.tensor(history), torch.tensor(scores))
    return output.numpy()


@settings(max_examples=150, deadline=None)
@given(
    scores_of,
    st.sampled_from([1.0, 0.5, 1.3, 2.0]),
    st.integers(0, 4),
    st.integers(0, 10),
    st.lists(st.integers(0, VOCABULARY - 1), max_size=2, unique=True),
)
def test_penalties_and_bars_are_transformers(drawn, penalty, ngram, shortest, suppress) -> None:
    scores, history = drawn
    before = scores.copy()
    end = [2, 3]
    parts = []
    if penalty != 1.0:
        parts.append(RepetitionPenaltyLogitsProcessor(penalty))
    if ngram:
        parts.append(NoRepeatNGramLogitsProcessor(ngram))
    if shortest:
        parts.append(MinLengthLogitsProcessor(shortest, end))
    if suppress:
        parts.append(SuppressTokensLogitsProcessor(suppress))
    chosen = DecodeSettings(
        repetition_penalty=penalty, no_repeat_ngram_size=ngram, min_length=shortest
    )
    ours = score_processors.apply(scores, history, chosen, end, suppress)
    np.testing.assert_array_equal(ours, theirs(parts, history, scores))
    np.testing.assert_array_equal(scores, before)  # the input stays as it was


@settings(max_examples=150, deadline=None)
@given(scores_of, st.sampled_from([0.1, 0.7, 1.0, 2.0]), st.integers(0, VOCABULARY + 2))
def test_temperature_and_top_k_are_transformers(drawn, temperature: float, top_k: int) -> None:
    scores, history = drawn
    parts = [TemperatureLogitsWarper(temperature)] + ([TopKLogitsWarper(top_k)] if top_k else [])
    ours = score_processors.warp(scores, DecodeSettings(temperature=temperature, top_k=top_k))
    np.testing.assert_allclose(ours, theirs(parts, history, scores), rtol=1e-6)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(-12, 12), min_size=VOCABULARY, max_size=VOCABULARY, unique=True),
    st.sampled_from([0.01, 0.317, 0.5, 0.801, 0.953]),
)
def test_top_p_is_transformers(logits: list[int], top_p: float) -> None:
    scores = np.array([logits], np.float32) / 3
    ours = score_processors.warp(scores, DecodeSettings(top_p=top_p))
    expected = theirs([TopPLogitsWarper(top_p)], np.zeros((1, 1), np.int64), scores)
    np.testing.assert_array_equal(ours, expected)


def test_top_p_keeps_the_likeliest_whatever_comes() -> None:
    scores = np.array([[0.0, 5.0, -np.inf, 1.0], [1.0, 1.0, 1.0, 1.0]], np.float32)
    kept = score_processors.warp(scores, DecodeSettings(top_p=0.01))
    assert np.isfinite(kept).sum(axis=1).tolist() == [1, 1]
    assert kept[0].argmax() == 1


def test_top_k_then_top_p_on_what_is_left() -> None:
    scores = np.log(np.array([[0.4, 0.3, 0.2, 0.1]], np.float32))
    # Of the two likeliest, the first has 4/7 of what is left.
    kept = score_processors.warp(scores, DecodeSettings(top_k=2, top_p=0.5))
    assert np.isfinite(kept).tolist() == [[True, False, False, False]]
    kept = score_processors.warp(scores, DecodeSettings(top_k=2, top_p=0.6))
    assert np.isfinite(kept).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ({}, False),
        ({"length_penalty": 2.0, "beams": 5, "max_length": 9}, False),
        ({"repetition_penalty": 1.1}, True),
        ({"no_repeat_ngram_size": 2}, True),
        ({"min_length": 1}, True),
        ({"temperature": 0.9}, True),
    ],
)
def test_when_the_whole_vocabulary_is_needed(changed: dict, needed: bool) -> None:
    assert needs_all_scores(DecodeSettings(**changed)) is needed
