"""Captions as token ids, and batches of them packed for one encoder pass per image.

All captions of an image lie one after another in one row, kept apart by the attention mask:
the encoder's states, and their cross-attention keys and values, are computed once per image,
with hardly any padding.

    row       <s> a dog runs <s> the dog jumps  -      input_ids
    segment    0  0  0   0    1   1   1    1    2      captions see their own segment only
    position   0  1  2   3    0   1   2    3    0
    target     a dog runs </s> the dog jumps </s>      none for padding and unknown words
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capgen.models.build import Captioning
from capgen.records import Example
from capgen.training.data.transfer import to_device

# Rows are padded to a multiple of this: attention kernels on GPUs want it.
LENGTH_MULTIPLE = 8

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class CaptionCodec:
    """How captions become ids.

    Attributes:
        tokenizer: The decoder's tokenizer.
        start: Id that a caption starts with.
        end: Id that it ends with.
        pad: Id that fills up rows; it does not matter to the loss.
        unknown: Id whose prediction is not learned, or None.
        max_tokens: Longest sequence that the decoder reads, start included.
    """

    tokenizer: Any
    start: int
    end: int
    pad: int
    unknown: int | None
    max_tokens: int

    @classmethod
    def of(cls, captioning: Captioning, max_tokens: int) -> Self:
        """Return the codec of a captioner; the decoder's positions limit `max_tokens`."""
        generation = captioning.model.generation_config
        start, end = generation.decoder_start_token_id, generation.eos_token_id
        if isinstance(end, list):
            end = end[0]
        unknown = captioning.tokenizer.unk_token_id
        # GPT-2's unknown token is its end token; it never needs one.
        special = {start, end, generation.pad_token_id}
        positions = captioning.model.decoder.config.n_positions
        return cls(
            tokenizer=captioning.tokenizer,
            start=start,
            end=end,
            pad=generation.pad_token_id,
            unknown=None if unknown in special else unknown,
            max_tokens=min(max_tokens, positions),
        )

    def encode(self, captions: Sequence[str]) -> list[Ids]:
        """Return start, words and end of each caption.

        Captions that are too long lose their last words and their end, so that the model
        does not learn to stop there.
        """
        longest = self.max_tokens + 1  # inputs and targets are one apart
        return [
            np.array([self.start, *row, self.end][:longest], dtype=np.int64)
            for row in self.tokens(captions)
        ]

    def tokens(self, captions: Sequence[str]) -> list[list[int]]:
        """Return the ids of each caption's words, whole and without start and end."""
        texts = [caption.strip() for caption in captions]
        if not texts:
            return []
        rows: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return rows

    def encode_examples(self, examples: Iterable[Example]) -> list[list[Ids]]:
        """Return the ids of all captions of each example."""
        return self.encode_groups([example.references for example in examples])

    def encode_groups(self, groups: Sequence[Sequence[str]]) -> list[list[Ids]]:
        """Return the ids of groups of captions, which are tokenized all at once."""
        flat = iter(self.encode([text for texts in groups for text in texts]))
        return [[next(flat) for _ in texts] for texts in groups]

    def pack(self, rows: Sequence[Sequence[Ids]]) -> PackedCaptions:
        """Pack the captions of each image into one row."""
        return pack_captions(rows, pad=self.pad, unknown=self.unknown)


@dataclass(frozen=True)
class PackedCaptions:
    """Captions of a batch of images, one row per image.

    Attributes:
        input_ids: int64 (B, L).
        position_ids: int64 (B, L), from 0 in each caption.
        segments: int64 (B, L): number of the caption in its row; padding has a number of its own.
        picks: int64 (N,): places in the flattened batch, B·L, whose next token is learned.
        targets: int64 (N,): those tokens.
    """

    input_ids: Tensor
    position_ids: Tensor
    segments: Tensor
    picks: Tensor
    targets: Tensor

    @property
    def tokens(self) -> int:
        """Number of tokens that the loss is over."""
        return self.targets.shape[0]

    def without_targets(self) -> PackedCaptions:
        """Return the batch with nothing to learn: its loss is 0, and so are its gradients."""
        return dataclasses.replace(self, picks=self.picks[:0], targets=self.targets[:0])

    def beside(self, other: PackedCaptions) -> PackedCaptions:
        """Return both batches in longer rows of the same images; picks of `other` come last."""
        both = torch.cat([self.input_ids, other.input_ids], 1)
        own, theirs, length = self.input_ids.shape[1], other.input_ids.shape[1], both.shape[1]
        # Numbers that no segment of ours has: padding's is the highest.
        apart = other.segments + self.segments.max() + 1
        return PackedCaptions(
            input_ids=both,
            position_ids=torch.cat([self.position_ids, other.position_ids], 1),
            segments=torch.cat([self.segments, apart], 1),
            picks=torch.cat(
                [
                    self.picks // own * length + self.picks % own,
                    other.picks // theirs * length + own + other.picks % theirs,
                ]
            ),
            targets=torch.cat([self.targets, other.targets]),
        )

    def to(self, device: torch.device) -> PackedCaptions:
        """Return the batch on `device`, without waiting for the copy."""
        return PackedCaptions(*(to_device(tensor, device) for tensor in vars(self).values()))

    def attention_mask(self, dtype: torch.dtype) -> Tensor:
        """Return what is added to attention scores, (B, 1, L, L): 0 or a large negative.

        A token sees itself and the earlier tokens of its own caption. No row is all
        negative, since padding sees padding.
        """
        length = self.segments.shape[1]
        same = self.segments[:, :, None] == self.segments[:, None, :]
        causal = torch.ones(length, length, dtype=torch.bool, device=same.device).tril()
        mask = torch.zeros(same.shape, dtype=dtype, device=same.device)
        lowest = max(-1e9, torch.finfo(dtype).min)  # float16 ends at -65504
        return mask.masked_fill_(~(same & causal), lowest)[:, None]


def pack_captions(
    rows: Sequence[Sequence[Ids]], *, pad: int, unknown: int | None
) -> PackedCaptions:
    """Pack the captions of each image, start and end included, into one row."""
    lengths = [sum(len(ids) - 1 for ids in row) for row in rows]
    length = -(-max(lengths) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    shape = (len(rows), length)
    input_ids = np.full(shape, pad, dtype=np.int64)
    position_ids = np.zeros(shape, dtype=np.int64)
    segments = np.zeros(shape, dtype=np.int64)
    targets = np.full(shape, -1, dtype=np.int64)
    for index, row in enumerate(rows):
        place = 0
        for number, ids in enumerate(row):
            end = place + len(ids) - 1
            input_ids[index, place:end] = ids[:-1]
            targets[index, place:end] = ids[1:]
            position_ids[index, place:end] = np.arange(end - place)
            segments[index, place:end] = number
            place = end
        segments[index, place:] = len(row)
    learned = targets >= 0
    if unknown is not None:
        learned &= targets != unknown
    return PackedCaptions(
        input_ids=torch.from_numpy(input_ids),
        position_ids=torch.from_numpy(position_ids),
        segments=torch.from_numpy(segments),
        picks=torch.from_numpy(np.flatnonzero(learned)),
        targets=torch.from_numpy(targets[learned]),
    )
