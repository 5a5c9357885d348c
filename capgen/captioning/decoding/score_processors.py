"""Changes to token scores before one is chosen, in transformers' order and with its meaning.

All functions take scores (N, V) float32, one row per beam, and return a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from capgen.config import DecodeSettings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def apply(
    scores: Floats,
    history: Ints,
    settings: DecodeSettings,
    end: Sequence[int],
    suppress: Sequence[int],
) -> Floats:
    """Apply penalties and bars to logits or log-probabilities.

    Args:
        scores: (N, V).
        history: (N, T) tokens so far, the start token included.
        settings: What to apply.
        end: End token ids, barred below the minimum length.
        suppress: Token ids that are always barred.
    """
    scores = scores.copy()
    if settings.repetition_penalty != 1.0:
        used = np.take_along_axis(scores, history, axis=1)
        penalty = np.float32(settings.repetition_penalty)
        used = np.where(used < 0, used * penalty, used / penalty)
        np.put_along_axis(scores, history, used, axis=1)
    if settings.no_repeat_ngram_size > 0:
        _bar_repeats(scores, history, settings.no_repeat_ngram_size)
    if history.shape[1] < settings.min_length:
        scores[:, list(end)] = -np.inf
    if suppress:
        scores[:, list(suppress)] = -np.inf
    return scores


def _bar_repeats(scores: Floats, history: Ints, size: int) -> None:
    """Bar tokens that would complete an n-gram already in the row (in place)."""
    for row, tokens in zip(scores, history.tolist(), strict=True):
        prefix = tokens[len(tokens) - size + 1 :]
        for start in range(len(tokens) - size + 1):
            if tokens[start : start + size - 1] == prefix:
                row[tokens[start + size - 1]] = -np.inf


def warp(scores: Floats, settings: DecodeSettings) -> Floats:
    """Apply temperature, top-k and top-p for sampling."""
    scores = scores / np.float32(settings.temperature)
    vocabulary = scores.shape[1]
    if 0 < settings.top_k < vocabulary:
        threshold = np.partition(scores, vocabulary - settings.top_k, axis=1)
        limit = threshold[:, vocabulary - settings.top_k, None]
        scores = np.where(scores < limit, np.float32(-np.inf), scores)
    if settings.top_p < 1.0:
        scores = _nucleus(scores, settings.top_p)
    return scores


def _nucleus(scores: Floats, top_p: float) -> Floats:
    """Bar the unlikeliest tokens whose total probability is at most 1 - top_p."""
    order = np.argsort(scores, axis=1, kind="stable")  # unlikeliest first
    ranked = np.take_along_axis(scores, order, axis=1)
    probabilities = np.exp(ranked - ranked[:, -1:])
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    barred = probabilities.cumsum(axis=1) <= 1.0 - top_p
    barred[:, -1] = False
    result = scores.copy()
    np.put_along_axis(result, order, np.where(barred, np.float32(-np.inf), ranked), axis=1)
    return result


def stuck(scores: Floats) -> NDArray[np.bool_]:
    """Return which rows (N, V) have no token left."""
    return np.asarray(~np.isfinite(scores).any(axis=-1))
