"""Words to avoid and to include, for any model that transformers' `generate` runs.

transformers 5 has no constrained beam search. A processor of scores does what is needed of it:
tokens after which the caption could not be completed are barred, a caption that would end too
early goes on with the words it lacks, and when the tokens left just suffice for them, nothing
else is allowed (see `capgen.captioning.decoding.word_constraints`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from capgen.captioning.decoding.score_processors import stuck
from capgen.captioning.decoding.token_bytes import token_bytes
from capgen.captioning.decoding.word_constraints import WordRules
from capgen.config import DecodeSettings


class Words(LogitsProcessor):
    """Bar tokens that lead to no caption with the words that were asked for.

    Args:
        rules: Of the model.
        settings: The words, and the most tokens of a caption.
        counted: Whether what `generate` is given to begin with, its `input_ids`, is the
            beginning of the caption; otherwise it is a prompt, and what it says does not count.
            The longest caption then has `max_length - 1` tokens after the prompt.
    """

    def __init__(self, rules: WordRules, settings: DecodeSettings, *, counted: bool) -> None:
        self._rules = rules
        self._settings = settings
        self._counted = counted
        self._given: int | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        words = self._rules.constraints(self._settings, scores.shape[1])
        if words is None:
            return scores
        if self._given is None:
            self._given = input_ids.shape[1]
        first = 0 if self._counted else self._given
        begin = self._given - first
        history = input_ids[:, first:].cpu().numpy()
        # `generate` goes on asking about captions that have ended.
        rows = np.flatnonzero(~np.isin(history[:, begin:], words.end).any(axis=1))
        if not len(rows):
            return scores
        places = words.places(history[rows], begin)
        kept = torch.from_numpy(rows).to(scores.device)
        parts = scores[kept].float().cpu().numpy()
        if words.includes:
            parts = words.instead_of_ending(parts, places)
        length = history.shape[1] + (0 if self._counted else 1)
        left = words.max_length - 1 - length
        barred = words.bar(parts, places, left)
        if self._settings.beams == 1 or self._settings.sample:
            lost = stuck(barred)
            barred[lost] = words.give_up(parts[lost], places[lost], left)
        result = scores.clone()
        result[kept] = torch.from_numpy(barred).to(scores.device, scores.dtype)
        return result


def word_rules(tokenizer: Any, end: Sequence[int], unusable: Sequence[int] = ()) -> WordRules:
    """Return what makes constraints for a tokenizer of transformers; keep it while the model is.

    Args:
        tokenizer: The tokenizer.
        end: End tokens.
        unusable: Tokens that the model's settings bar.
    """
    return WordRules(lambda: token_bytes(tokenizer), end, unusable)


def word_processors(
    rules: WordRules, settings: DecodeSettings, *, counted: bool
) -> LogitsProcessorList:
    """Return what `generate(logits_processor=…)` takes, for one call: empty without words.

    Put it after processors that bar tokens or change scores. Where these leave a caption no way
    to the words that it lacks, the words are given up; in a beam search the beam is, and comes
    out with a score of -inf.

    Args:
        rules: Of the model (see `word_rules`).
        settings: The words; whether there are beams; and `max_length`, the most tokens of a
            caption with its start token, or without one the most new tokens plus one.
        counted: Whether what `generate` begins with is part of the caption (see `Words`).
    """
    if not settings.asks_for_words:
        return LogitsProcessorList()
    return LogitsProcessorList([Words(rules, settings, counted=counted)])
