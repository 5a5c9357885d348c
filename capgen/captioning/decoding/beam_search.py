"""Batched decoding in numpy on any `StepModel`: beam search here, the rest in `sampling`.

Each image is decoded independently of the others in its batch. Beam search follows
transformers' `generate` (version 5), so that both runtimes give the same captions:
log-probabilities are summed, a finished beam is ranked by that sum divided by
`length ** length_penalty` (the end token counts), and beams are kept, finished and stopped by
the same rules.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from capgen.captioning.decoding import score_processors
from capgen.captioning.decoding.hypotheses import (
    Floats,
    Hypothesis,
    Ints,
    StepModel,
    TokenIds,
    hypothesis,
    log_softmax,
)
from capgen.captioning.decoding.sampling import Sampling, feed_prefix, started
from capgen.config import DecodeSettings
from capgen.errors import ModelError


def decode(
    model: StepModel, images: int, settings: DecodeSettings, tokens: TokenIds
) -> list[list[Hypothesis]]:
    """Caption a number of images that the model has encoded.

    Returns:
        For each image hypotheses, best first: all finished beams of a beam search, else
        `settings.num_captions` samples, or the one greedy caption.

    Raises:
        ModelError: The model's scores are not numbers, or no token is allowed.
    """
    if settings.repeat_nouns:
        tokens = replace(tokens, nouns=None)
    if settings.sample or settings.beams == 1:
        rows = settings.num_captions if settings.sample else 1
        batch = Sampling(model, images, rows, settings, tokens).run()
    else:
        batch = _BeamSearch(model, images, settings, tokens).run()
    # Beams whose scores are NaN never finish; sampling returns them.
    if not all(batch) or any(math.isnan(each.score) for image in batch for each in image):
        raise ModelError(
            "Decoding found no caption: the model's scores are not numbers, "
            "or the decoding settings allow no token",
            hint="Try the model's own settings; if that fails too, its weights are damaged.",
        )
    return batch


def needs_all_scores(settings: DecodeSettings) -> bool:
    """Whether a beam search must see the scores of the whole vocabulary."""
    return (
        settings.repetition_penalty != 1.0
        or settings.no_repeat_ngram_size > 0
        or settings.min_length > 0
        or settings.temperature != 1.0
    )


class _BeamSearch:
    """Beam search over all images of the batch at once."""

    def __init__(
        self, model: StepModel, images: int, settings: DecodeSettings, tokens: TokenIds
    ) -> None:
        self.model = model
        self.settings = settings
        self.tokens = tokens
        self.nouns = tokens.nouns
        # For each image its best finished hypotheses, best first, at most one per beam.
        self.finished: list[list[Hypothesis]] = [[] for _ in range(images)]
        self.alive = np.arange(images)
        # One row per image at the start: its beams part at the first token.
        self.sequences = started(images, 1, settings.max_length, tokens)
        self.begin = len(tokens.fed)
        self.log_probs = np.zeros((images, 1, settings.max_length), np.float32)
        self.scores = np.zeros((images, 1), np.float32)
        self.parents = np.arange(images)

    def run(self) -> list[list[Hypothesis]]:
        feed_prefix(self.model, self.sequences, self.begin)
        for length in range(self.begin, self.settings.max_length):
            self._step(length)
            going = np.array([not self._done(row, length) for row in range(len(self.alive))])
            if not going.any():
                break
            if not going.all():
                self._keep(np.flatnonzero(going))
        return self.finished

    def _step(self, length: int) -> None:
        values, ids = self._candidates(length)  # (B, K, C)
        images, beams, width = values.shape
        totals = self.scores[:, :, None] + values
        if self.nouns is not None:
            totals -= self.nouns.penalties(self.sequences[:, :, :length], ids)
        totals = totals.reshape(images, -1)
        order = np.argsort(-totals, axis=1, kind="stable")[:, : self._width()]  # (B, W)
        rows = np.arange(images)[:, None]
        beam, token = order // width, ids.reshape(images, -1)[rows, order]
        total = totals[rows, order]
        sequences = self.sequences[rows, beam]
        sequences[:, :, length] = token
        log_probs = self.log_probs[rows, beam]
        log_probs[:, :, length] = values.reshape(images, -1)[rows, order]
        ended = np.isin(token, self.tokens.end)
        if length == self.settings.max_length - 1:
            ended[:] = True
        for row, place in zip(*np.nonzero(ended[:, : self.settings.beams]), strict=True):
            if np.isfinite(total[row, place]):
                generated = slice(self.begin, length + 1)
                self._finish(
                    row, sequences[row, place, generated], log_probs[row, place, generated]
                )
        # Unfinished candidates first, each group in order of score.
        running = np.argsort(ended, axis=1, kind="stable")[:, : self.settings.beams]
        self.scores = np.where(ended, np.float32(-np.inf), total)[rows, running]
        self.sequences, self.log_probs = sequences[rows, running], log_probs[rows, running]
        self.parents = (rows * beams + beam[rows, running]).ravel()

    def _finish(self, row: int, ids: Ints, log_probs: Floats) -> None:
        """Keep a finished hypothesis if it is among the best of its image."""
        finished = self.finished[self.alive[row]]
        penalty = self.settings.length_penalty
        finished.append(hypothesis(ids, log_probs, penalty, self.nouns, self.tokens.prefix))
        finished.sort(key=lambda item: -item.rank)
        del finished[self.settings.beams :]

    def _width(self) -> int:
        """Candidates per image: enough that K stay unfinished even if each beam can end."""
        return (1 + len(self.tokens.end)) * self.settings.beams

    def _candidates(self, length: int) -> tuple[Floats, Ints]:
        """Best log-probabilities of each beam and their tokens, both (B, K, C)."""
        history = self.sequences[:, :, :length]
        ids = history[:, :, -1]
        # The W best of all are among the W best of each beam, once barred tokens are left out.
        count = self._width() + len(self.tokens.suppress)
        if self.nouns is not None:
            count += self.nouns.max_penalised(history)
        if needs_all_scores(self.settings):
            values, best = self._processed(history, count)
        else:
            values, best = self.model.top(ids, self.parents, count)
            values = np.where(np.isin(best, self.tokens.suppress), np.float32(-np.inf), values)
        shape = (*ids.shape, -1)
        return values.reshape(shape), best.reshape(shape)

    def _processed(self, history: Ints, count: int) -> tuple[Floats, Ints]:
        """As `StepModel.top`, after the penalties and bars of the settings."""
        scores = log_softmax(self.model.logits(history[:, :, -1], self.parents))
        flat = history.reshape(-1, history.shape[-1])
        scores = score_processors.apply(
            scores, flat, self.settings, self.tokens.end, self.tokens.suppress
        )
        if self.settings.temperature != 1.0:
            scores = log_softmax(scores / np.float32(self.settings.temperature))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores, best, axis=1), best

    def _done(self, row: int, length: int) -> bool:
        """Whether no running beam of the image can still displace a finished one."""
        finished = self.finished[self.alive[row]]
        if len(finished) < self.settings.beams:
            return False
        if self.settings.early_stopping is True:
            return True
        penalty = self.settings.length_penalty
        if self.settings.early_stopping == "never" and penalty > 0:
            length = self.settings.max_length - 1
        generated = length + 1 - self.begin
        return float(self.scores[row, 0]) / generated**penalty <= finished[-1].rank

    def _keep(self, rows: Ints) -> None:
        self.model.keep(rows)
        self.parents = self.parents.reshape(len(self.alive), -1)[rows].ravel()
        self.alive = self.alive[rows]
        self.scores = self.scores[rows]
        self.sequences = self.sequences[rows]
        self.log_probs = self.log_probs[rows]
