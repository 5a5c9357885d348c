"""Score processors that transformers' `generate` lacks and our own decoding has."""

from __future__ import annotations

import numpy as np
import torch
from transformers import LogitsProcessor

from capgen.captioning.decoding.concept_bonus import ConceptBonus
from capgen.captioning.decoding.noun_table import NOUN_PENALTY, NounTable


class Temperature(LogitsProcessor):
    """Beam search over temperature-scaled scores (transformers ignores it there)."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(scores / self.temperature, dim=-1)


class LogProbabilities(LogitsProcessor):
    """Turn scores into log-probabilities, so that what follows leaves those of other tokens."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(scores, dim=-1)


class Concepts(LogitsProcessor):
    """Add to tokens what the concepts of their image add, until the row has said them.

    Args:
        bonus: For the images that `generate` captions; each has the same number of rows.
    """

    def __init__(self, bonus: ConceptBonus) -> None:
        self._bonus = bonus

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        images = np.arange(len(input_ids)) * len(self._bonus) // len(input_ids)
        gains = self._bonus.gains(input_ids.cpu().numpy(), images)
        tokens = torch.from_numpy(self._bonus.tokens).to(scores.device)
        added = torch.from_numpy(gains).to(scores.device, scores.dtype)
        return scores.index_add(1, tokens, added)


class NounsOnce(LogitsProcessor):
    """Take `NOUN_PENALTY` off tokens that begin a noun which the row already has."""

    def __init__(self, table: NounTable) -> None:
        self._table = table
        self._numbers: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores - NOUN_PENALTY * self.repeated(input_ids, scores)

    def repeated(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return which tokens begin a noun that the row already has, bool (N, V).

        Args:
            input_ids: The tokens of each row so far, int64 (N, T).
            scores: Their scores, (N, V), for device and width only.
        """
        numbers = self._numbers_for(scores)  # may replace the table by a wider one
        used = torch.zeros(
            (len(input_ids), self._table.count + 1), dtype=torch.bool, device=scores.device
        )
        used.scatter_(1, numbers[input_ids], True)
        used[:, 0] = False
        return used[:, numbers]

    def _numbers_for(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the table's numbers on the scores' device, as wide as they are."""
        numbers = self._numbers
        if numbers is None or numbers.device != scores.device or len(numbers) != scores.shape[1]:
            self._table = self._table.of_width(scores.shape[1])
            numbers = self._numbers = torch.from_numpy(self._table.numbers).to(scores.device)
        return numbers
