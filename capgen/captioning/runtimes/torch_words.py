"""Words to avoid and to include, for any model that transformers' `generate` runs.

transformers 5 has no constrained beam search. A processor of scores does what is needed of it:
tokens after which the caption could not be completed are barred, a caption that would end too
early goes on with the words it lacks, and when the tokens left just suffice for them, nothing
else is allowed (see `capgen.captioning.decoding.word_constraints`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from capgen.captioning.decoding.score_processors import stuck
from capgen.captioning.decoding.token_bytes import token_bytes
from capgen.captioning.decoding.word_constraints import Ints, Places, WordConstraints
from capgen.captioning.decoding.word_rules import WordRules
from capgen.config import DecodeSettings


class Words(LogitsProcessor):
    """Bar tokens that lead to no caption with the words that were asked for.

    Args:
        rules: Of the model.
        settings: The words, and the most tokens of a caption.
        counted: Whether what `generate` is given to begin with, its `input_ids`, is the
            beginning of the caption; otherwise it is a prompt, and what it says does not count.
            The longest caption then has `max_length - 1` tokens after the prompt.
        starts: For each image the tokens at the end of its prompt that are the beginning of the
            caption, so that what they say does count; none by default.
    """

    def __init__(
        self,
        rules: WordRules,
        settings: DecodeSettings,
        *,
        counted: bool,
        starts: Sequence[tuple[int, ...]] = ((),),
    ) -> None:
        self._rules = rules
        self._settings = settings
        self._counted = counted
        self._starts = starts
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
        if self._counted:
            places = words.places(history[rows], begin)
        else:
            places = self._behind_starts(
                words, history[rows], rows * len(self._starts) // len(history)
            )
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

    def _behind_starts(self, words: WordConstraints, history: Ints, images: Ints) -> Places:
        """Read what rows (N, T) have generated, each behind the start of its image (N)."""
        states = np.zeros(len(history), np.int64)
        said = np.zeros_like(states)
        for image in np.unique(images):
            rows, start = images == image, self._starts[image]
            begun = np.tile(np.array(start, np.int64), (int(rows.sum()), 1))
            # There is no start token, and the tokens of the start are not among those to come.
            longer = replace(words, max_length=words.max_length + max(0, len(start) - 1))
            read = longer.places(np.concatenate([begun, history[rows]], axis=1), len(start))
            states[rows], said[rows] = read.states, read.said
        return Places(states, said)


def word_rules(tokenizer: Any, end: Sequence[int], unusable: Sequence[int] = ()) -> WordRules:
    """Return what makes constraints for a tokenizer of transformers; keep it while the model is.

    Args:
        tokenizer: The tokenizer.
        end: End tokens.
        unusable: Tokens that the model's settings bar.
    """
    return WordRules(lambda: token_bytes(tokenizer), end, unusable)


def word_processors(
    rules: WordRules,
    settings: DecodeSettings,
    *,
    counted: bool,
    starts: Sequence[tuple[int, ...]] = ((),),
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
    return LogitsProcessorList([Words(rules, settings, counted=counted, starts=starts)])
