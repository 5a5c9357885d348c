"""Sampling from a captioner's GPT-2 in batches: no dropout, no gradients, a key/value cache.

Transformers' `generate` would copy an image's cross-attention keys and values for each of its
samples. Here the samples of an image are queries side by side, and finished captions leave the
batch. A token is the inverse of the distribution function at a number that the caller has drawn,
so captions do not depend on how images are batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GPT2LMHeadModel, VisionEncoderDecoderModel

from capgen.captioning.runtimes.torch_processors import NounsOnce

# Finished captions leave the batch when it shrinks to this share or less.
_SHRINK = 0.8
# Keeps a number below 1 when it is scaled in float32.
_BELOW_ONE = 1 - 1e-6


class Samples(NamedTuple):
    """Sampled captions.

    Attributes:
        ids: Tokens without the start, the end included, int64 (B, S, T); padded with the end.
        lengths: Tokens of each, the end included, int64 (B, S).
        ended: Whether each reached its end, bool (B, S); the others were cut.
    """

    ids: Tensor
    lengths: Tensor
    ended: Tensor


class Sampler:
    """Draws captions for images.

    Args:
        model: The captioner, with a GPT-2 decoder.
        start: Id that captions start with.
        end: Id that they end with.
        barred: Ids that are never drawn.
        max_tokens: Most tokens per caption, the end included.
        temperature: Divides the logits.
        once: If given, no caption begins a noun again that it already has, as in decoding.
    """

    def __init__(
        self,
        model: VisionEncoderDecoderModel,
        *,
        start: int,
        end: int,
        barred: Sequence[int],
        max_tokens: int,
        temperature: float = 1.0,
        once: NounsOnce | None = None,
    ) -> None:
        self.model = model
        self.start = start
        self.end = end
        # On its device from the start: a copy for each token would wait for the GPU.
        self.barred = torch.tensor(sorted(set(barred) - {end}), device=model.device).long()
        self.max_tokens = min(max_tokens, model.decoder.config.n_positions)
        self.temperature = temperature
        self.once = once

    def scores(self, logits: Tensor, history: Tensor) -> Tensor:
        """Return the scores to draw from, (N, V).

        Args:
            logits: The model's logits, (N, V).
            history: The tokens of each caption so far, int64 (N, T); may be filled up with ends.
        """
        scores = (logits / self.temperature).index_fill(-1, self.barred, float("-inf"))
        if self.once is None:
            return scores
        # A ban, where decoding has a penalty: a caption can always end.
        return scores.masked_fill(self.once.repeated(history, scores), float("-inf"))

    def histories(self, samples: Samples) -> Tensor:
        """Return the tokens before each token of samples, int64 (tokens, T), in their order."""
        ids, longest = samples.ids.flatten(0, 1), samples.ids.shape[-1]
        places = torch.arange(longest, device=ids.device)
        before = ids[:, None, :].masked_fill(places >= places[:, None], self.end)
        return before[places < samples.lengths.flatten()[:, None]]

    @torch.no_grad()
    def draw(self, states: Tensor, uniform: Tensor) -> Samples:
        """Draw captions.

        Args:
            states: The encoder's last states, (B, P, E).
            uniform: Numbers in [0, 1) that decide each token, float32 (B, S, max_tokens).
        """
        if hasattr(self.model, "enc_to_dec_proj"):
            states = self.model.enc_to_dec_proj(states)
        images, samples, longest = uniform.shape
        decoder = _Decoder(self.model.decoder, states, samples)
        numbers = uniform.flatten(0, 1).clamp(max=_BELOW_ONE)
        count = images * samples
        ids = torch.full((count, longest), self.end, device=states.device)
        rows = torch.arange(count, device=states.device)
        tokens = torch.full((count,), self.start, device=states.device)
        for place in range(longest):
            scores = self.scores(decoder.step(tokens, place, rows).float(), ids[rows, :place])
            tokens = _inverse(scores, numbers[rows, place])
            ids[rows, place] = tokens
            going = torch.nonzero(ids[rows, place] != self.end)[:, 0]
            if len(going) == 0:
                break
            if len(going) <= _SHRINK * len(rows):
                rows, tokens = rows[going], tokens[going]
                decoder.keep(going)
        return self._samples(ids, (images, samples, longest))

    def _samples(self, ids: Tensor, shape: tuple[int, int, int]) -> Samples:
        """Cut off what was drawn after the end of a caption."""
        ended = ids == self.end
        first = ended.int().argmax(1)
        some = ended.any(1)
        lengths = torch.where(some, first + 1, ids.shape[1])
        places = torch.arange(ids.shape[1], device=ids.device)
        ids = ids.masked_fill(places >= lengths[:, None], self.end)
        return Samples(ids.view(shape), lengths.view(shape[:2]), some.view(shape[:2]))


def _inverse(scores: Tensor, numbers: Tensor) -> Tensor:
    """Return the tokens, (N,), at which the distribution functions reach `numbers`, (N,)."""
    shares = torch.softmax(scores, -1)
    return _reached(shares, shares.cumsum(-1), numbers)


def _reached(shares: Tensor, sums: Tensor, numbers: Tensor) -> Tensor:
    """Return the tokens, (N,), at which sums of their shares, both (N, V), reach `numbers`, (N,).

    GPUs add in parallel: the rounding of neighbouring sums differs, so that a sum may also step at
    a barred token. Its loss would be infinite; the likeliest token takes its place.
    """
    tokens = torch.searchsorted(sums, numbers[:, None] * sums[:, -1:], right=True)
    tokens = tokens.clamp(max=shares.shape[1] - 1)
    possible = shares.gather(1, tokens) > 0
    return torch.where(possible, tokens, shares.argmax(-1, keepdim=True))[:, 0]


class _Decoder:
    """GPT-2 with cross-attention, one token at a time for the samples of all images.

    Args:
        decoder: The model; its dropout is never applied.
        states: What it attends to, (B, P, D).
        samples: Samples per image.
    """

    def __init__(self, decoder: GPT2LMHeadModel, states: Tensor, samples: int) -> None:
        self.decoder = decoder
        self.samples = samples
        self.blocks: Any = decoder.transformer.h
        self.cross = []
        for block in self.blocks:
            keys, values = block.crossattention.c_attn(states).chunk(2, dim=-1)
            heads = block.crossattention.num_heads
            self.cross.append((_heads(keys, heads), _heads(values, heads)))
        self.past: list[tuple[Tensor, Tensor] | None] = [None] * len(self.blocks)

    def keep(self, going: Tensor) -> None:
        """Keep only the captions `going`."""
        self.past = [pair and (pair[0][going], pair[1][going]) for pair in self.past]

    def step(self, tokens: Tensor, place: int, rows: Tensor) -> Tensor:
        """Return the logits, (N, V), after `tokens`, (N,), at a place of captions `rows`, (N,)."""
        transformer: Any = self.decoder.transformer
        hidden = transformer.wte(tokens) + transformer.wpe.weight[place]  # (N, D)
        for number, block in enumerate(self.blocks):
            hidden = hidden + self._attend_self(number, block.attn, block.ln_1(hidden))
            query = block.ln_cross_attn(hidden)
            hidden = hidden + self._attend_image(number, block.crossattention, query, rows)
            feed = block.mlp
            hidden = hidden + feed.c_proj(feed.act(feed.c_fc(block.ln_2(hidden))))
        logits: Tensor = self.decoder.lm_head(transformer.ln_f(hidden))
        return logits

    def _attend_self(self, number: int, attention: Any, hidden: Tensor) -> Tensor:
        parts = attention.c_attn(hidden)[:, None].chunk(3, dim=-1)
        query, key, value = (_heads(part, attention.num_heads) for part in parts)
        past = self.past[number]
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        self.past[number] = key, value
        attended = F.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
        return _project(attention, attended.flatten(1))

    def _attend_image(self, number: int, attention: Any, hidden: Tensor, rows: Tensor) -> Tensor:
        keys, values = self.cross[number]
        states = attention.q_attn(hidden)  # (N, D)
        query = states.new_zeros(keys.shape[0] * self.samples, states.shape[1])
        query[rows] = states
        query = _heads(query.view(keys.shape[0], self.samples, -1), attention.num_heads)
        attended = F.scaled_dot_product_attention(query, keys, values, scale=attention.scaling)
        return _project(attention, attended.transpose(1, 2).flatten(2).flatten(0, 1)[rows])


def _project(attention: Any, attended: Tensor) -> Tensor:
    projected: Tensor = attention.c_proj(attended)
    return projected


def _heads(states: Tensor, heads: int) -> Tensor:
    """Return states (B, L, D) as (B, heads, L, D / heads)."""
    return states.view(*states.shape[:-1], heads, -1).transpose(1, 2)
