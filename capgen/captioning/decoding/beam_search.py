"""Beam search in numpy over a batch of images.

It follows transformers' `generate` (version 5), so that both runtimes give the same captions:
log-probabilities are summed, a finished beam is ranked by that sum divided by
`length ** length_penalty` (the end token counts), and beams are kept, finished and stopped by
the same rules (`finished_captions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding import score_processors
from capgen.captioning.decoding.concept_bonus import NO_TOKEN
from capgen.captioning.decoding.finished_captions import FinishedCaptions
from capgen.captioning.decoding.hypotheses import (
    Floats,
    Hypothesis,
    Ints,
    StepModel,
    TokenIds,
    among,
    log_softmax,
    with_others,
)
from capgen.captioning.decoding.sampling import feed_prefix, started
from capgen.config import DecodeSettings

if TYPE_CHECKING:
    from capgen.captioning.decoding.word_constraints import Places


def needs_all_scores(settings: DecodeSettings) -> bool:
    """Whether a beam search must see the scores of the whole vocabulary."""
    return (
        settings.repetition_penalty != 1.0
        or settings.no_repeat_ngram_size > 0
        or settings.min_length > 0
        or settings.temperature != 1.0
    )


@dataclass(frozen=True)
class _Picked:
    """Candidates of a step, all (B, W), the best first.

    Attributes:
        beam: The beam that each continues.
        token: Its token.
        value: The token's log-probability.
        total: What candidates are ranked by.
        may_finish: Whether it counts as a caption if it has ended.
    """

    beam: Ints
    token: Ints
    value: Floats
    total: Floats
    may_finish: NDArray[np.bool_]


class BeamSearch:
    """Beam search over all images of the batch at once."""

    def __init__(
        self, model: StepModel, images: int, settings: DecodeSettings, tokens: TokenIds
    ) -> None:
        self.model = model
        self.settings = settings
        self.tokens = tokens
        self.nouns = tokens.nouns
        self.concepts = tokens.concepts
        self.words = tokens.words
        # Running hypotheses per image; words to include may need more than were asked for.
        self.beams = settings.beams if self.words is None else self.words.beams(settings.beams)
        # Whether the model expects the rest of a phrase behind each beam, in limits (B, K).
        self.half: NDArray[np.bool_] | None = None
        self.finished = FinishedCaptions(images, settings, tokens)
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
            going = ~self.finished.complete(self.alive, self.scores[:, 0], length)
            if not going.any():
                break
            if not going.all():
                self._keep(np.flatnonzero(going))
        return self.finished.captions

    def _step(self, length: int) -> None:
        pick = self._pick if self.words is None else self._pick_with_words
        picked = pick(length)
        rows = np.arange(len(self.alive))[:, None]
        sequences = self.sequences[rows, picked.beam]
        sequences[:, :, length] = picked.token
        log_probs = self.log_probs[rows, picked.beam]
        log_probs[:, :, length] = picked.value
        ended = among(picked.token, self.tokens.end)
        if length == self.settings.max_length - 1:
            ended[:] = True
        for row, place in zip(*np.nonzero(ended & picked.may_finish), strict=True):
            if np.isfinite(picked.total[row, place]):
                generated = slice(self.begin, length + 1)
                beam = picked.beam[row, place]
                self.finished.add(
                    self.alive[row],
                    sequences[row, place, generated],
                    log_probs[row, place, generated],
                    half=self.half is not None and bool(self.half[row, beam]),
                )
        # Unfinished candidates first, each group in order of score.
        running = np.argsort(ended, axis=1, kind="stable")[:, : self.beams]
        beams = self.sequences.shape[1]
        self.scores = np.where(ended, np.float32(-np.inf), picked.total)[rows, running]
        self.sequences, self.log_probs = sequences[rows, running], log_probs[rows, running]
        self.parents = (rows * beams + picked.beam[rows, running]).ravel()

    def _pick(self, length: int) -> _Picked:
        """Pick the best candidates; the first K of them may finish."""
        values, ids = self._candidates(length)  # (B, K, C)
        totals = self.scores[:, :, None] + values
        if self.nouns is not None:
            totals -= self.nouns.penalties(self.sequences[:, :, :length], ids)
        if self.concepts is not None:
            gains = self.concepts.of(self._gains(length), ids.reshape(-1, ids.shape[2]))
            totals += gains.reshape(totals.shape)
        return self._best(totals, values, ids)

    def _best(self, totals: Floats, values: Floats, ids: Ints) -> _Picked:
        """Pick the best of candidates (B, K, C) by their totals."""
        images, beams, width = totals.shape
        rows = np.arange(images)[:, None]
        flat = totals.reshape(images, -1)
        count = min(self._width(), beams * width)
        # Only the best ones are sorted; of equal ones the first comes first.
        best = np.sort(np.argpartition(-flat, count - 1, axis=1)[:, :count], axis=1)
        best = best[rows, np.argsort(-flat[rows, best], axis=1, kind="stable")]  # (B, W)
        beam, place = best // width, best % width
        return _Picked(
            beam=beam,
            token=ids[rows, beam, place],
            value=values[rows, beam, place],
            total=flat[rows, best],
            may_finish=np.arange(count) < self.settings.beams,
        )

    def _pick_with_words(self, length: int) -> _Picked:
        """Pick the best candidates for each number of tokens that captions still need.

        Captions that need none are picked as others are: avoiding a word that a caption would
        not have changes nothing.
        """
        assert self.words is not None
        history = self.sequences[:, :, :length]
        images, beams, _ = history.shape
        values = self._scores(history)  # (B·K, V)
        if self.words.limits is not None:
            self.half = self.words.limits.phrases.half(values).reshape(images, beams)
        totals = self.scores.reshape(-1, 1) + values
        if self.nouns is not None:
            totals -= self.nouns.penalties(history.reshape(-1, length))
        if self.concepts is not None:
            totals = self.concepts.added(totals, self._gains(length))
        places = self.words.places(history.reshape(-1, length), self.begin)
        totals = self._barred(totals, places, length)
        totals = totals.reshape(images, beams, -1)
        if not self.words.searches:
            ids = np.broadcast_to(np.arange(totals.shape[2]), totals.shape)
            return self._best(totals, values.reshape(totals.shape), ids)
        width = totals.shape[-1]
        # Where there are too few candidates, the first one stands in, without a score.
        order = np.zeros((images, 2 * self.beams), np.int64)
        taken = np.zeros(order.shape, bool)
        for row in range(images):
            part = slice(row * beams, (row + 1) * beams)
            going, ended = self.words.choose(totals[row], places[part], self.beams)
            for first, chosen in ((0, going), (self.beams, ended)):
                order[row, first : first + len(chosen)] = chosen
                taken[row, first : first + len(chosen)] = True
        rows = np.arange(images)[:, None]
        return _Picked(
            beam=order // width,
            token=order % width,
            value=values.reshape(images, -1)[rows, order],
            total=np.where(taken, totals.reshape(images, -1)[rows, order], np.float32(-np.inf)),
            may_finish=taken,
        )

    def _gains(self, length: int) -> Floats:
        """What concepts add for each beam: (B·K, U)."""
        assert self.concepts is not None
        history = self.sequences[:, :, :length]
        return self.concepts.gains(
            history.reshape(-1, length), np.repeat(self.alive, history.shape[1])
        )

    def _barred(self, totals: Floats, places: Places, length: int) -> Floats:
        """Bar what leads to no caption as asked, unless an image has no other caption."""
        assert self.words is not None
        left = self.settings.max_length - 1 - length
        barred = self.words.bar(totals, places, left)
        beams = len(totals) // len(self.alive)
        for row, lost in enumerate(
            np.asarray(score_processors.stuck(barred).reshape(-1, beams).all(axis=1))
        ):
            if lost and not self.finished.captions[self.alive[row]]:
                part = slice(row * beams, (row + 1) * beams)
                barred[part] = self.words.give_up(totals[part], places[part], left)
        return barred

    def _width(self) -> int:
        """Candidates per image: enough that K stay unfinished even if each beam can end."""
        return (1 + len(self.tokens.end)) * self.settings.beams

    def _candidates(self, length: int) -> tuple[Floats, Ints]:
        """Best log-probabilities of each beam and their tokens, both (B, K, C)."""
        history = self.sequences[:, :, :length]
        ids = history[:, :, -1]
        # The W best of all are among the W best of each beam, once barred tokens are left out,
        # and those that concepts raise.
        count = self._width() + len(self.tokens.suppress)
        if self.nouns is not None:
            count += self.nouns.max_penalised(history)
        also = None
        if self.concepts is not None:
            count += self.concepts.losing
            also = self.concepts.gaining[self.alive]
        if needs_all_scores(self.settings):
            values, best = self._processed(history, count, also)
        else:
            values, best = self.model.top(ids, self.parents, count, also)
            values = np.where(among(best, self.tokens.suppress), np.float32(-np.inf), values)
        if also is not None:
            values = _once(values, best, also.shape[1])
        shape = (*ids.shape, -1)
        return values.reshape(shape), best.reshape(shape)

    def _processed(
        self, history: Ints, count: int, also: Ints | None = None
    ) -> tuple[Floats, Ints]:
        """As `StepModel.top`, after the penalties and bars of the settings."""
        scores = self._scores(history)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        if also is not None:
            best = with_others(best, also)
        return np.take_along_axis(scores, best, axis=1), best

    def _scores(self, history: Ints) -> Floats:
        """Log-probabilities (B·K, V) after the penalties and bars of the settings."""
        scores = log_softmax(self.model.logits(history[:, :, -1], self.parents))
        flat = history.reshape(-1, history.shape[-1])
        scores = score_processors.apply(
            scores, flat, self.settings, self.tokens.end, self.tokens.suppress
        )
        if self.settings.temperature != 1.0:
            scores = log_softmax(scores / np.float32(self.settings.temperature))
        return scores

    def _keep(self, rows: Ints) -> None:
        self.model.keep(rows)
        self.parents = self.parents.reshape(len(self.alive), -1)[rows].ravel()
        self.alive = self.alive[rows]
        self.scores = self.scores[rows]
        self.sequences = self.sequences[rows]
        self.log_probs = self.log_probs[rows]


def _once(values: Floats, ids: Ints, count: int) -> Floats:
    """Return values (N, C) without those of the last `count` ids that are among the others.

    Nor do places without a token have one.
    """
    others, last = ids[:, : ids.shape[1] - count], ids[:, ids.shape[1] - count :]
    again = (others[:, :, None] == last[:, None, :]).any(axis=1) | (last == NO_TOKEN)
    values = values.copy()
    values[:, others.shape[1] :][again] = -np.inf
    return values
