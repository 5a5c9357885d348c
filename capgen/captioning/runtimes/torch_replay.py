"""Feeds a finished caption to a torch decoder with cross-attention again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from capgen.captioning.runtimes.base import Replay


def replayed(model: Any, states: torch.Tensor, fed: Sequence[int], given: int) -> Replay:
    """Return what the model computes while a caption is fed to it.

    Args:
        model: A VisionEncoderDecoder or BLIP model.
        states: The image's features (1, cells, width).
        fed: Start token, the words that the caption was to begin with, and its tokens but the
            last.
        given: How many tokens of `fed` are those words.
    """
    decoder = model.text_decoder if hasattr(model, "text_decoder") else model.decoder
    projection = getattr(model, "enc_to_dec_proj", None)
    with torch.inference_mode(), _eager_attention(decoder):
        output = decoder(
            input_ids=torch.tensor([list(fed)], device=states.device),
            encoder_hidden_states=states if projection is None else projection(states),
            output_attentions=True,
            return_dict=True,
        )
        log_probs = torch.log_softmax(output.logits[0, given:].float(), dim=-1)
        attention = torch.stack(output.cross_attentions)[:, 0].float()  # (L, H, P + T, cells)
        attention = attention[:, :, given:].permute(2, 0, 1, 3)
    return Replay(log_probs.cpu().numpy(), attention.cpu().numpy())


@contextlib.contextmanager
def _eager_attention(decoder: Any) -> Iterator[None]:
    """Switch a decoder to the implementation that returns attention weights; others are faster."""
    before = decoder.config._attn_implementation
    decoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        decoder.set_attn_implementation(before)
