"""From sampled tokens to words as the metrics see them.

The metrics read text: tokens are decoded and the text is tokenized again (PTB). If a token is a
whole word that PTB reads the same whatever its neighbours are, this is a table look-up on the
device. All other captions are decoded: those with another token in them (a number, say), and
those of subword tokenizers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from capgen.metrics.ptb.tokenizer import reads_alone, tokenize

NO_WORD = -1
END_WORD = 0


class Words:
    """Numbers for words, assigned as words are met; 0 is the end of a caption."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers) + 1

    def texts(self) -> list[str]:
        """Return the words in the order of their numbers, from 1."""
        return list(self._numbers)

    def numbers(self, text: str, *, end: bool) -> list[int]:
        """Return the numbers of a text's words as the metrics see them; `end` adds the end."""
        known = self._numbers
        numbers = [known.setdefault(word, len(known) + 1) for word in tokenize(text).split()]
        return [*numbers, END_WORD] if end else numbers

    def numbered(self, references: Sequence[Sequence[str]], *, end: bool) -> list[list[list[int]]]:
        """Return what `numbers` does for each caption of each image."""
        return [[self.numbers(text, end=end) for text in captions] for captions in references]


class TokenReader:
    """Reads words off token ids.

    Args:
        tokenizer: The decoder's tokenizer.
        words: Numbers the words.
        device: Where the token ids are.

    Attributes:
        spelled: Tokens that must be read as text, bool (V,).
        table: The words of the other tokens, int64 (V, K), padded with `NO_WORD`.
    """

    def __init__(self, tokenizer: Any, words: Words, device: torch.device) -> None:
        self.tokenizer = tokenizer
        self.words = words
        size = len(tokenizer)
        self.spelled = torch.ones(size, dtype=torch.bool)
        rows: list[list[int]] = [[] for _ in range(size)]
        if _has_whole_words(tokenizer):
            special = set(tokenizer.all_special_ids)
            for text, token in tokenizer.get_vocab().items():
                if token in special:
                    self.spelled[token] = False
                elif text and reads_alone(text):
                    rows[token] = words.numbers(text, end=False)
                    self.spelled[token] = False
        self.table = padded(rows, max(1, *map(len, rows))).to(device)
        self.spelled = self.spelled.to(device)

    def read(self, ids: Tensor, ended: Tensor | None = None) -> Tensor:
        """Return word numbers, int64 (…, W), padded with `NO_WORD`.

        Args:
            ids: Token ids without the start, (…, T); special tokens are not words.
            ended: Captions whose end counts as a word, bool (…); None means none.
        """
        flat = ids.flatten(0, -2)
        as_text = self.spelled[flat].any(-1)
        numbers = _compact(self.table[flat].flatten(1))
        if bool(as_text.any()):
            numbers = self._spell_out(flat, as_text, numbers)
        # One more place, for the end.
        numbers = torch.cat([numbers, torch.full_like(numbers[:, :1], NO_WORD)], 1)
        if ended is not None:
            lengths = (numbers >= 0).sum(1, keepdim=True)
            last = torch.where(ended.flatten()[:, None], END_WORD, NO_WORD)
            numbers = numbers.scatter(1, lengths, last)
        return numbers.view(*ids.shape[:-1], -1)

    def _spell_out(self, ids: Tensor, as_text: Tensor, numbers: Tensor) -> Tensor:
        """Return the words, with those of some captions read from their text."""
        texts = self.tokenizer.batch_decode(ids[as_text].tolist(), skip_special_tokens=True)
        rows = [self.words.numbers(text.strip(), end=False) for text in texts]
        width = max(numbers.shape[1], *map(len, rows))
        wider = torch.nn.functional.pad(numbers, (0, width - numbers.shape[1]), value=NO_WORD)
        wider[as_text] = padded(rows, width).to(wider.device)
        return wider


def padded(rows: Sequence[Sequence[int]], width: int) -> Tensor:
    """Return rows of word numbers as one tensor, int64 (rows, width)."""
    table = np.full((len(rows), width), NO_WORD, dtype=np.int64)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = row
    return torch.from_numpy(table)


def _compact(words: Tensor) -> Tensor:
    """Move the words of each row, (N, W), to its front."""
    order = torch.sort((words < 0).int(), dim=1, stable=True).indices
    most = max(1, int((words >= 0).sum(1).max()))
    return words.gather(1, order)[:, :most]


def _has_whole_words(tokenizer: Any) -> bool:
    """Whether tokens are words that decoding joins with single spaces."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or getattr(tokenizer, "clean_up_tokenization_spaces", True):
        return False
    parts = json.loads(backend.to_str())
    return bool(parts["model"]["type"] == "WordLevel") and parts.get("decoder") is None
