"""From sampled tokens to words as the metrics see them.

The metrics read text: tokens are decoded and the text is tokenized again (PTB). Where a
tokenizer has whole words that the metrics' one reads without looking at their neighbours,
that is a table look-up on the device. Other captions take the way over text: those with such
a token in them (a number, say), and all of a subword tokenizer.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from capgen.metrics.ptb.tokenizer import reads_alone, tokenize

NO_WORD = -1
END_WORD = 0


class Words:
    """Numbers for words, given out as words are met; 0 is the end of a caption."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers) + 1

    def numbers(self, text: str, *, end: bool) -> list[int]:
        """Return the numbers of the words of a text as the metrics see it.

        Args:
            text: A caption.
            end: Add the end of the caption.
        """
        known = self._numbers
        found = [known.setdefault(word, len(known) + 1) for word in tokenize(text).split()]
        return [*found, END_WORD] if end else found


class TokenReader:
    """Reads words off token ids.

    Args:
        tokenizer: The decoder's tokenizer.
        words: Numbers the words.
        device: Where the token ids are.

    Attributes:
        spelled: Tokens that are to be read as text, bool (V,).
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
        table = np.full((size, max(1, *map(len, rows))), NO_WORD, dtype=np.int64)
        for place, row in zip(table, rows, strict=True):
            place[: len(row)] = row
        self.table = torch.from_numpy(table).to(device)
        self.spelled = self.spelled.to(device)

    def read(self, ids: Tensor, ended: Tensor | None = None) -> Tensor:
        """Return word numbers, int64 (…, W), padded with `NO_WORD`.

        Args:
            ids: Token ids without the start, (…, T); special tokens are no words.
            ended: Captions whose end counts as a word, bool (…); None is none of them.
        """
        flat = ids.flatten(0, -2)
        as_text = self.spelled[flat].any(-1)
        found = _compact(self.table[flat].flatten(1))
        if bool(as_text.any()):
            found = self._spell_out(flat, as_text, found)
        # A place more, for the end.
        found = torch.cat([found, torch.full_like(found[:, :1], NO_WORD)], 1)
        if ended is not None:
            lengths = (found >= 0).sum(1, keepdim=True)
            last = torch.where(ended.flatten()[:, None], END_WORD, NO_WORD)
            found = found.scatter(1, lengths, last)
        return found.view(*ids.shape[:-1], -1)

    def _spell_out(self, ids: Tensor, as_text: Tensor, found: Tensor) -> Tensor:
        """Return the words with those of some captions read off their text."""
        texts = self.tokenizer.batch_decode(ids[as_text].tolist(), skip_special_tokens=True)
        rows = [self.words.numbers(text.strip(), end=False) for text in texts]
        width = max(found.shape[1], *map(len, rows))
        table = np.full((len(rows), width), NO_WORD, dtype=np.int64)
        for place, row in zip(table, rows, strict=True):
            place[: len(row)] = row
        wider = torch.nn.functional.pad(found, (0, width - found.shape[1]), value=NO_WORD)
        wider[as_text] = torch.from_numpy(table).to(wider.device)
        return wider


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
