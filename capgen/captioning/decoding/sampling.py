"""Greedy decoding and sampling over a batch of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding import score_processors
from capgen.captioning.decoding.ending_in_limits import ended_in_time, likeliest_end
from capgen.captioning.decoding.hypotheses import (
    Floats,
    Hypothesis,
    Ints,
    StepModel,
    TokenIds,
    hypothesis,
    log_softmax,
)
from capgen.config import DecodeSettings


class Sampling:
    """Sampling and greedy decoding: rows that are continued independently of each other."""

    def __init__(
        self, model: StepModel, images: int, rows: int, settings: DecodeSettings, tokens: TokenIds
    ) -> None:
        self.model = model
        self.settings = settings
        self.tokens = tokens
        self.nouns = tokens.nouns
        self.concepts = tokens.concepts
        self.rows = rows
        self.alive = np.arange(images)
        self.generators = [np.random.default_rng(settings.seed) for _ in range(images)]
        self.sequences = started(images, rows, settings.max_length, tokens)
        self.begin = len(tokens.fed)
        self.log_probs = np.zeros((images, rows, settings.max_length), np.float32)
        self.lengths = np.zeros((images, rows), np.int64)  # 0 while unfinished
        # What would have ended a sample in the place of each token, where samples are limited.
        self.limits = tokens.limits if settings.sample else None
        if self.limits is not None:
            self.ends = np.zeros_like(self.sequences)
            self.end_log_probs = np.full(self.sequences.shape, -np.inf, np.float32)
            self.half = np.zeros(self.sequences.shape, bool)

    def run(self) -> list[list[Hypothesis]]:
        feed_prefix(self.model, self.sequences, self.begin)
        parents = np.repeat(np.arange(len(self.alive)), self.rows)
        for length in range(self.begin, self.settings.max_length):
            self._step(length, parents)
            open_images = (self.lengths[self.alive] == 0).any(axis=1)
            if not open_images.any():
                break
            rows = np.arange(len(open_images) * self.rows).reshape(-1, self.rows)
            parents = rows[open_images].ravel()
            if not open_images.all():
                self.model.keep(np.flatnonzero(open_images))
                self.alive = self.alive[open_images]
        return [self._hypotheses(image) for image in range(len(self.sequences))]

    def _step(self, length: int, parents: Ints) -> None:
        history = self.sequences[self.alive, :, :length]
        logits = self.model.logits(history[:, :, -1], parents)
        flat = history.reshape(-1, length)
        scores = score_processors.apply(
            logits, flat, self.settings, self.tokens.end, self.tokens.suppress
        )
        if self.limits is not None:
            log_probs = log_softmax(scores)
            ends, values = likeliest_end(log_probs, self.tokens.end)
            half = self.limits.phrases.half(log_probs)
            self.half[self.alive, :, length] = half.reshape(len(self.alive), -1)
            self.ends[self.alive, :, length] = ends.reshape(len(self.alive), -1)
            self.end_log_probs[self.alive, :, length] = values.reshape(len(self.alive), -1)
        scores = self._with_words(scores, flat, length)
        penalties = np.float32(0) if self.nouns is None else self.nouns.penalties(flat)
        if self.settings.sample:
            log_probs, chosen = self._drawn(scores - penalties, flat)
        else:
            log_probs = log_softmax(scores)
            chosen = self._with_concepts(log_probs - penalties, flat).argmax(axis=1)
        picked = np.take_along_axis(log_probs, chosen[:, None], axis=1)
        shape = (len(self.alive), self.rows)
        self.sequences[self.alive, :, length] = chosen.reshape(shape)
        self.log_probs[self.alive, :, length] = picked.reshape(shape)
        ended = np.isin(chosen, self.tokens.end).reshape(shape)
        if length == self.settings.max_length - 1:
            ended[:] = True
        lengths = self.lengths[self.alive]
        self.lengths[self.alive] = np.where((lengths == 0) & ended, length, lengths)

    def _drawn(self, scores: Floats, history: Ints) -> tuple[Floats, Ints]:
        """Draw a token for each row; return it behind the log-probabilities without concepts.

        These are among the tokens that could be drawn.
        """
        raised = self._with_concepts(scores, history)
        warped = score_processors.warp(raised, self.settings)
        log_probs = log_softmax(warped)
        draws = [self.generators[image].random(self.rows) for image in self.alive]
        chosen = draw(np.exp(log_probs), np.concatenate(draws))
        if self.concepts is not None:
            plain = scores / np.float32(self.settings.temperature)
            log_probs = log_softmax(np.where(np.isfinite(warped), plain, np.float32(-np.inf)))
        return log_probs, chosen

    def _with_concepts(self, scores: Floats, history: Ints) -> Floats:
        """Return scores (N, V) with what concepts add."""
        if self.concepts is None:
            return scores
        images = np.repeat(self.alive, self.rows)
        return self.concepts.added(scores, self.concepts.gains(history, images))

    def _with_words(self, scores: Floats, history: Ints, length: int) -> Floats:
        """Bar tokens that lead to no caption with the words that were asked for."""
        words = self.tokens.words
        going = np.flatnonzero(self.lengths[self.alive].ravel() == 0)
        if words is None or not len(going):
            return scores
        places = words.places(history[going], self.begin)
        parts = scores[going]
        if words.includes:
            parts = words.instead_of_ending(parts, places)
        scores = scores.copy()
        left = self.settings.max_length - 1 - length
        barred = words.bar(parts, places, left)
        lost = score_processors.stuck(barred)
        barred[lost] = words.give_up(parts[lost], places[lost], left)
        scores[going] = barred
        return scores

    def _hypotheses(self, image: int) -> list[Hypothesis]:
        rows = zip(self.sequences[image], self.log_probs[image], self.lengths[image], strict=True)
        penalty = self.settings.length_penalty
        hypotheses = [
            hypothesis(
                ids[self.begin : length + 1],
                log_probs[self.begin : length + 1],
                penalty,
                self.nouns,
                self.tokens.prefix,
                self.tokens.bonus(ids[self.begin : length + 1], image),
                self.tokens.end,
            )
            for ids, log_probs, length in rows
        ]
        if self.limits is not None:
            parts = [slice(self.begin, length + 1) for length in self.lengths[image]]
            hypotheses = [
                ended_in_time(
                    *(each, self.limits, self.ends[image, row, part]),
                    *(self.end_log_probs[image, row, part], self.half[image, row, part], penalty),
                )
                for row, (each, part) in enumerate(zip(hypotheses, parts, strict=True))
            ]
        return sorted(hypotheses, key=lambda item: -item.rank)


def started(images: int, rows: int, length: int, tokens: TokenIds) -> Ints:
    """Return sequences (B, K, length) that begin with the start token and the prefix."""
    sequences = np.full((images, rows, length), tokens.start, np.int64)
    sequences[:, :, : len(tokens.fed)] = tokens.fed
    return sequences


def feed_prefix(model: StepModel, sequences: Ints, begin: int) -> None:
    """Feed what sequences (B, K, T) begin with, once for all rows of an image.

    The token before place `begin` is left to the step that generates the first one.
    """
    for place in range(begin - 1):
        model.logits(sequences[:, :1, place], np.arange(len(sequences)))


def draw(probabilities: Floats, uniforms: NDArray[np.float64]) -> Ints:
    """Draw an index per row of probabilities (N, V) by inverting the cumulative distribution.

    `uniforms` are (N) numbers in [0, 1).
    """
    cumulative = probabilities.astype(np.float64).cumsum(axis=1)
    thresholds = uniforms[:, None] * cumulative[:, -1:]
    return (cumulative <= thresholds).sum(axis=1)
