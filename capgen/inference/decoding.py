"""Batched decoding in numpy: greedy, beam search and sampling.

Works on any `StepModel` and imports no inference library. Beam search follows
transformers' `generate` (version 5) in what it keeps, when it stops and how it scores, so
that both runtimes give the same captions: log-probabilities are summed, and a finished beam
is ranked by that sum divided by `length ** length_penalty`, the end token counted.

Each photo is decoded independently of the others in its batch, sampling included: every
photo draws from its own generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from capgen.config import DecodeSettings
from capgen.inference import processors

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TokenIds:
    """The token ids that steer decoding.

    Attributes:
        start: Fed first.
        end: Any of these finishes a caption.
        suppress: Never generated.
    """

    start: int
    end: tuple[int, ...]
    suppress: tuple[int, ...] = ()


@dataclass(frozen=True)
class Hypothesis:
    """One generated caption as token ids.

    Attributes:
        ids: Generated token ids, without the start token, with the end token if reached.
        log_probabilities: Log-probability of each of them.
        score: Sum of `log_probabilities` divided by length ** length_penalty.
    """

    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    score: float

    @property
    def log_probability(self) -> float:
        """Sum of the tokens' log-probabilities."""
        return float(sum(self.log_probabilities))


class StepModel(Protocol):
    """A decoder that advances one token at a time and remembers its keys and values.

    Rows are beams: photo b's beams are rows b·K to b·K + K - 1.
    """

    def logits(self, ids: Ints, parents: Ints) -> Floats:
        """Feed ids (B, K), each continuing row `parents` (B·K) of the last step → (B·K, V)."""
        ...

    def top(self, ids: Ints, parents: Ints, count: int) -> tuple[Floats, Ints]:
        """As `logits`, but return the best log-probabilities and ids, both (B·K, count)."""
        ...

    def keep(self, photos: Ints) -> None:
        """Forget all photos but these; the next step's rows are theirs."""
        ...


def decode(
    model: StepModel, photos: int, settings: DecodeSettings, tokens: TokenIds
) -> list[list[Hypothesis]]:
    """Caption a batch of encoded photos.

    Args:
        model: A decoder that was given the photos.
        photos: How many there are.
        settings: What to do.
        tokens: Special token ids of the model.

    Returns:
        For each photo `settings.num_captions` hypotheses, best first.
    """
    if settings.sample or settings.beams == 1:
        rows = settings.num_captions if settings.sample else 1
        return _Walk(model, photos, rows, settings, tokens).run()
    return _BeamSearch(model, photos, settings, tokens).run()


class _Walk:
    """Greedy decoding and sampling: every row goes its own way."""

    def __init__(
        self, model: StepModel, photos: int, rows: int, settings: DecodeSettings, tokens: TokenIds
    ) -> None:
        self.model = model
        self.settings = settings
        self.tokens = tokens
        self.rows = rows
        self.alive = np.arange(photos)
        self.generators = [np.random.default_rng(settings.seed) for _ in range(photos)]
        self.sequences = np.full((photos, rows, settings.max_length), tokens.start, np.int64)
        self.log_probs = np.zeros((photos, rows, settings.max_length), np.float32)
        self.lengths = np.zeros((photos, rows), np.int64)  # 0 while unfinished

    def run(self) -> list[list[Hypothesis]]:
        parents = np.repeat(np.arange(len(self.alive)), self.rows)
        for length in range(1, self.settings.max_length):
            self._step(length, parents)
            open_photos = (self.lengths[self.alive] == 0).any(axis=1)
            if not open_photos.any():
                break
            if not open_photos.all():
                kept = np.flatnonzero(open_photos)
                self.model.keep(kept)
                self.alive = self.alive[kept]
                rows = np.arange(len(open_photos) * self.rows).reshape(-1, self.rows)
                parents = rows[kept].ravel()
            else:
                parents = np.arange(len(self.alive) * self.rows)
        return [self._hypotheses(photo) for photo in range(len(self.sequences))]

    def _step(self, length: int, parents: Ints) -> None:
        history = self.sequences[self.alive, :, :length]
        logits = self.model.logits(history[:, :, -1], parents)
        flat = history.reshape(-1, length)
        scores = processors.apply(
            logits, flat, self.settings, self.tokens.end, self.tokens.suppress
        )
        if self.settings.sample:
            scores = processors.warp(scores, self.settings)
        log_probs = log_softmax(scores)
        if self.settings.sample:
            draws = [self.generators[photo].random(self.rows) for photo in self.alive]
            chosen = draw(np.exp(log_probs), np.concatenate(draws))
        else:
            chosen = log_probs.argmax(axis=1)
        picked = np.take_along_axis(log_probs, chosen[:, None], axis=1)
        shape = (len(self.alive), self.rows)
        self.sequences[self.alive, :, length] = chosen.reshape(shape)
        self.log_probs[self.alive, :, length] = picked.reshape(shape)
        ended = np.isin(chosen, self.tokens.end).reshape(shape)
        if length == self.settings.max_length - 1:
            ended[:] = True
        lengths = self.lengths[self.alive]
        self.lengths[self.alive] = np.where((lengths == 0) & ended, length, lengths)

    def _hypotheses(self, photo: int) -> list[Hypothesis]:
        found = []
        for row, length in enumerate(self.lengths[photo]):
            ids = self.sequences[photo, row, 1 : length + 1]
            log_probs = self.log_probs[photo, row, 1 : length + 1]
            found.append(hypothesis(ids, log_probs, self.settings.length_penalty))
        return sorted(found, key=lambda item: -item.score)


@dataclass
class _Finished:
    """The best finished hypotheses of one photo, best first, at most `size`."""

    size: int
    found: list[Hypothesis] = field(default_factory=list)

    def add(self, new: Hypothesis) -> None:
        self.found.append(new)
        self.found.sort(key=lambda item: -item.score)
        del self.found[self.size :]

    @property
    def full(self) -> bool:
        return len(self.found) == self.size


class _BeamSearch:
    """Beam search over all photos of the batch at once."""

    def __init__(
        self, model: StepModel, photos: int, settings: DecodeSettings, tokens: TokenIds
    ) -> None:
        self.model = model
        self.settings = settings
        self.tokens = tokens
        self.finished = [_Finished(settings.beams) for _ in range(photos)]
        self.alive = np.arange(photos)
        # One row a photo at the start: its beams part at the first token.
        self.sequences = np.full((photos, 1, settings.max_length), tokens.start, np.int64)
        self.log_probs = np.zeros((photos, 1, settings.max_length), np.float32)
        self.scores = np.zeros((photos, 1), np.float32)
        self.parents = np.arange(photos)

    def run(self) -> list[list[Hypothesis]]:
        for length in range(1, self.settings.max_length):
            self._step(length)
            going = np.array([not self._done(row, length) for row in range(len(self.alive))])
            if not going.any():
                break
            if not going.all():
                self._keep(np.flatnonzero(going))
        count = self.settings.num_captions
        return [finished.found[:count] for finished in self.finished]

    def _step(self, length: int) -> None:
        values, ids = self._candidates(length)  # (B, K, C)
        photos, beams, width = values.shape
        totals = (self.scores[:, :, None] + values).reshape(photos, -1)
        count = 2 * self.settings.beams
        order = np.argsort(-totals, axis=1, kind="stable")[:, :count]  # (B, 2K)
        rows = np.arange(photos)[:, None]
        beam, token = order // width, ids.reshape(photos, -1)[rows, order]
        total = totals[rows, order]
        sequences = self.sequences[rows, beam]
        sequences[:, :, length] = token
        log_probs = self.log_probs[rows, beam]
        log_probs[:, :, length] = values.reshape(photos, -1)[rows, order]
        ended = np.isin(token, self.tokens.end)
        if length == self.settings.max_length - 1:
            ended[:] = True
        for row, place in zip(*np.nonzero(ended[:, : self.settings.beams]), strict=True):
            if np.isfinite(total[row, place]):
                ids_, parts = sequences[row, place, 1 : length + 1], log_probs[row, place]
                new = hypothesis(ids_, parts[1 : length + 1], self.settings.length_penalty)
                self.finished[self.alive[row]].add(new)
        # Unfinished candidates first, each group in order of score.
        running = np.argsort(ended, axis=1, kind="stable")[:, : self.settings.beams]
        self.scores = np.where(ended, np.float32(-1e9), total)[rows, running]
        self.sequences, self.log_probs = sequences[rows, running], log_probs[rows, running]
        self.parents = (rows * beams + beam[rows, running]).ravel()

    def _candidates(self, length: int) -> tuple[Floats, Ints]:
        """Best log-probabilities of each beam and their tokens, both (B, K, C)."""
        history = self.sequences[:, :, :length]
        ids = history[:, :, -1]
        # 2K of the whole are among the 2K best of each beam, once those barred are left out.
        count = 2 * self.settings.beams + len(self.tokens.suppress)
        if processors.needed(self.settings):
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
        scores = processors.apply(scores, flat, settings, self.tokens.end, self.tokens.suppress)
        if settings.temperature != 1.0:
            scores = log_softmax(scores / np.float32(settings.temperature))
        count = min(count, scores.shape[1])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores, best, axis=1), best

    def _done(self, row: int, length: int) -> bool:
        """Whether no running beam of the photo can still displace a finished one."""
        finished = self.finished[self.alive[row]]
        if not finished.full:
            return False
        if self.settings.early_stopping is True:
            return True
        penalty = self.settings.length_penalty
        if self.settings.early_stopping == "never" and penalty > 0:
            length = self.settings.max_length - 1
        return float(self.scores[row, 0]) / length**penalty <= finished.found[-1].score

    def _keep(self, rows: Ints) -> None:
        self.model.keep(rows)
        self.parents = self.parents.reshape(len(self.alive), -1)[rows].ravel()
        self.alive = self.alive[rows]
        self.scores = self.scores[rows]
        self.sequences = self.sequences[rows]
        self.log_probs = self.log_probs[rows]


def hypothesis(
    ids: Sequence[int] | Ints, log_probs: Sequence[float] | Floats, length_penalty: float
) -> Hypothesis:
    """Make a hypothesis, with the score that beam search ranks by."""
    parts = tuple(float(value) for value in log_probs)
    score = sum(parts) / max(len(parts), 1) ** length_penalty
    return Hypothesis(tuple(int(token) for token in ids), parts, score)


def log_softmax(scores: Floats) -> Floats:
    """Log-softmax over the last axis; -inf stays -inf."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def draw(probabilities: Floats, uniforms: NDArray[np.float64]) -> Ints:
    """Draw one index a row by inverting the cumulative distribution.

    Args:
        probabilities: (N, V), rows summing to one.
        uniforms: (N) numbers in [0, 1).
    """
    cumulative = probabilities.astype(np.float64).cumsum(axis=1)
    thresholds = uniforms[:, None] * cumulative[:, -1:]
    return (cumulative <= thresholds).sum(axis=1)
