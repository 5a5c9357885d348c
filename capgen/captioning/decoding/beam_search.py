"""Beam search over a batch of images, as transformers' `generate` (version 5) does it.

Log-probabilities are summed; a finished beam is ranked by that sum divided by
`length ** length_penalty`, the end token counted. What is kept, what counts as finished and
when an image stops are transformers' too, so that both runtimes give the same captions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
from capgen.config import DecodeSettings


@dataclass
class _Finished:
    """The best finished hypotheses of one image, best first, at most `size`."""

    size: int
    found: list[Hypothesis] = field(default_factory=list)

    def add(self, new: Hypothesis) -> None:
        self.found.append(new)
        self.found.sort(key=lambda item: -item.rank)
        del self.found[self.size :]

    @property
    def full(self) -> bool:
        return len(self.found) == self.size


class BeamSearch:
    """Beam search over all images of the batch at once."""

    def __init__(
        self, model: StepModel, images: int, settings: DecodeSettings, tokens: TokenIds
    ) -> None:
        self.model = model
        self.settings = settings
        self.tokens = tokens
        self.nouns = tokens.nouns
        self.finished = [_Finished(settings.beams) for _ in range(images)]
        self.alive = np.arange(images)
        # One row per image at the start: its beams part at the first token.
        self.sequences = np.full((images, 1, settings.max_length), tokens.start, np.int64)
        self.log_probs = np.zeros((images, 1, settings.max_length), np.float32)
        self.scores = np.zeros((images, 1), np.float32)
        self.parents = np.arange(images)

    def run(self) -> list[list[Hypothesis]]:
        for length in range(1, self.settings.max_length):
            self._step(length)
            going = np.array([not self._done(row, length) for row in range(len(self.alive))])
            if not going.any():
                break
            if not going.all():
                self._keep(np.flatnonzero(going))
        return [finished.found for finished in self.finished]

    def _step(self, length: int) -> None:
        values, ids = self._candidates(length)  # (B, K, C)
        images, beams, width = values.shape
        totals = self.scores[:, :, None] + values
        if self.nouns is not None:
            totals -= self.nouns.fines(self.sequences[:, :, :length], ids)
        totals = totals.reshape(images, -1)
        count = self._width()
        order = np.argsort(-totals, axis=1, kind="stable")[:, :count]  # (B, W)
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
                ids_, parts = sequences[row, place, 1 : length + 1], log_probs[row, place]
                new = hypothesis(
                    ids_, parts[1 : length + 1], self.settings.length_penalty, self.nouns
                )
                self.finished[self.alive[row]].add(new)
        # Unfinished candidates first, each group in order of score.
        running = np.argsort(ended, axis=1, kind="stable")[:, : self.settings.beams]
        self.scores = np.where(ended, np.float32(-np.inf), total)[rows, running]
        self.sequences, self.log_probs = sequences[rows, running], log_probs[rows, running]
        self.parents = (rows * beams + beam[rows, running]).ravel()

    def _width(self) -> int:
        """Candidates per image: enough that K stay unfinished even if each beam can end."""
        return (1 + len(self.tokens.end)) * self.settings.beams

    def _candidates(self, length: int) -> tuple[Floats, Ints]:
        """Best log-probabilities of each beam and their tokens, both (B, K, C)."""
        history = self.sequences[:, :, :length]
        ids = history[:, :, -1]
        # W of the whole are among the W best of each beam, once those barred are left out.
        count = self._width() + len(self.tokens.suppress)
        if self.nouns is not None:
            count += self.nouns.most(history)
        if score_processors.needed(self.settings):
            values, best = self._processed(history, count)
        else:
            values, best = self.model.top(ids, self.parents, count)
            values = np.where(np.isin(best, self.tokens.suppress), np.float32(-np.inf), values)
        shape = (*ids.shape, -1)
        return values.reshape(shape), best.reshape(shape)

    def _processed(self, history: Ints, count: int) -> tuple[Floats, Ints]:
        settings = self.settings
        scores = log_softmax(self.model.logits(history[:, :, -1], self.parents))
        flat = history.reshape(-1, history.shape[-1])
        scores = score_processors.apply(
            scores, flat, settings, self.tokens.end, self.tokens.suppress
        )
        if settings.temperature != 1.0:
            scores = log_softmax(scores / np.float32(settings.temperature))
        count = min(count, scores.shape[1])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores, best, axis=1), best

    def _done(self, row: int, length: int) -> bool:
        """Whether no running beam of the image can still displace a finished one."""
        finished = self.finished[self.alive[row]]
        if not finished.full:
            return False
        if self.settings.early_stopping is True:
            return True
        penalty = self.settings.length_penalty
        if self.settings.early_stopping == "never" and penalty > 0:
            length = self.settings.max_length - 1
        return float(self.scores[row, 0]) / length**penalty <= finished.found[-1].rank

    def _keep(self, rows: Ints) -> None:
        self.model.keep(rows)
        self.parents = self.parents.reshape(len(self.alive), -1)[rows].ravel()
        self.alive = self.alive[rows]
        self.scores = self.scores[rows]
        self.sequences = self.sequences[rows]
        self.log_probs = self.log_probs[rows]
