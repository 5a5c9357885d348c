"""What `generate` of transformers lacks and `capgen.captioning.decoding.decode` has."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

from capgen.captioning.decoding.noun_table import FINE, NounTable


class Temperature(LogitsProcessor):
    """Beam search over temperature-scaled scores (transformers ignores it there)."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(scores / self.temperature, dim=-1)


class NounsOnce(LogitsProcessor):
    """Nouns that a row already has cost it `FINE` to repeat.

    Args:
        table: Which tokens begin which noun.
        normalise: Take it off log-probabilities, where the scores are not those already, so
            that what remains of the others is not changed by it.
    """

    def __init__(self, table: NounTable, *, normalise: bool = False) -> None:
        self._table = table
        self._normalise = normalise
        self._numbers: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        numbers = self._on(scores)  # which may change the table
        said = torch.zeros(
            (len(input_ids), self._table.count + 1), dtype=torch.bool, device=scores.device
        )
        said.scatter_(1, numbers[input_ids], True)
        said[:, 0] = False
        if self._normalise:
            scores = torch.log_softmax(scores, dim=-1)
        return scores - FINE * said[:, numbers]

    def _on(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the table on the scores' device, as wide as they are."""
        numbers = self._numbers
        if numbers is None or numbers.device != scores.device or len(numbers) != scores.shape[1]:
            self._table = self._table.of_width(scores.shape[1])
            numbers = self._numbers = torch.from_numpy(self._table.numbers).to(scores.device)
        return numbers
