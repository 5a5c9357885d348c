"""The finished hypotheses of a beam search, and when no other can be better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.ending_in_limits import ends_well
from capgen.captioning.decoding.hypotheses import Floats, Hypothesis, Ints, TokenIds, hypothesis
from capgen.config import DecodeSettings


class FinishedCaptions:
    """For each image its best finished hypotheses.

    Args:
        images: How many images there are.
        settings: Settings of the search.
        tokens: What tokens mean.

    Attributes:
        captions: For each image hypotheses, best first, at most one per beam.
    """

    def __init__(self, images: int, settings: DecodeSettings, tokens: TokenIds) -> None:
        self.captions: list[list[Hypothesis]] = [[] for _ in range(images)]
        self._settings = settings
        self._tokens = tokens
        self._limits = None if tokens.words is None else tokens.words.limits

    def add(self, image: int, ids: Ints, log_probs: Floats, *, half: bool) -> None:
        """Keep a hypothesis if it is among the best of its image.

        Args:
            image: The image.
            ids: Generated tokens (T).
            log_probs: Their log-probabilities (T).
            half: In limits, whether the model expected the rest of a phrase.
        """
        tokens = self._tokens
        found = hypothesis(
            *(ids, log_probs, self._settings.length_penalty, tokens.nouns, tokens.prefix),
            *(tokens.bonus(ids, image), tokens.end),
        )
        if self._limits is not None:
            said = np.array([*found.prefix, *found.ids], np.int64)
            flaws = self._limits.phrases.flaws(said, found.log_probabilities, half)
            found = replace(found, flaws=flaws)
        finished = self.captions[image]
        finished.append(found)
        finished.sort(key=self._order)
        del finished[self._settings.beams :]

    def _order(self, found: Hypothesis) -> tuple[int, bool, float]:
        """Return what sorts hypotheses, best first; in limits those that end well come first."""
        return found.flaws, self._limits is not None and not ends_well(found), -found.rank

    def complete(self, images: Ints, best: Floats, length: int) -> NDArray[np.bool_]:
        """Return for each image whether no running beam can still displace a finished one.

        Args:
            images: The images (B).
            best: (B) the sum of log-probabilities of each image's best running beam.
            length: Place of the tokens that were chosen last.
        """
        pairs = zip(images.tolist(), best.tolist(), strict=True)
        complete = [self._is_complete(image, score, length) for image, score in pairs]
        return np.array(complete, bool)

    def _is_complete(self, image: int, best: float, length: int) -> bool:
        finished, settings = self.captions[image], self._settings
        if len(finished) < settings.beams:
            return False
        # Of captions that fit, most are such that the model would not end there.
        if self._limits is not None and (finished[-1].flaws or not ends_well(finished[-1])):
            return not np.isfinite(best)
        if settings.early_stopping is True:
            return True
        penalty = settings.length_penalty
        if settings.early_stopping == "never" and penalty > 0:
            length = settings.max_length - 1
        generated = length + 1 - len(self._tokens.fed)
        return best / generated**penalty <= finished[-1].rank
