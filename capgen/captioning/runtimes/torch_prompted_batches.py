"""Prepared inputs of several images as one batch, where that cannot change a caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from capgen.models.kinds import PROMPTED_KINDS

Prepared = Mapping[str, Any]

# Kinds that read a padded prompt, and an image of fewer tiles than its neighbour, as they read
# them alone: tested. Kosmos-2 counts padding among the positions of what it generates.
PADDED_KINDS = tuple(kind for kind in PROMPTED_KINDS if kind != "kosmos-2")

# One number per token of the prompt: padded where prompts or images have different lengths.
_PER_TOKEN = (
    *("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"),
    "image_embeds_position_mask",
)
# (1, tiles, …): fewer tiles are filled up with empty ones, as processors do it.
_PER_TILE = {"pixel_values": 5, "pixel_attention_mask": 4}


def groups(inputs: Sequence[Prepared], *, pad: bool) -> list[list[int]]:
    """Return the places of inputs that may be in one batch, each place once.

    Args:
        inputs: What the processor made of each image and prompt, a batch of one each.
        pad: Whether the model reads padded prompts, and images of different numbers of tiles,
            as it reads them alone.
    """
    found: dict[Any, list[int]] = {}
    for place, each in enumerate(inputs):
        found.setdefault(_shape_of_batch(each, place, pad), []).append(place)
    return list(found.values())


def _shape_of_batch(each: Prepared, place: int, pad: bool) -> tuple[Any, ...]:
    """Return what two inputs must have in common to be in one batch."""
    common: list[Any] = []
    for name, value in sorted(each.items()):
        if not isinstance(value, torch.Tensor):
            return (place,)  # nobody knows how to join these
        shape = tuple(value.shape)
        if not pad:
            common.append((name, shape))
        elif name in _PER_TOKEN:
            common.append(name)
        else:
            common.append((name, shape[2:] if _tiled(name, value) else shape[1:]))
    return tuple(common)


def _tiled(name: str, value: torch.Tensor) -> bool:
    return _PER_TILE.get(name) == value.ndim and value.shape[0] == 1


def joined(inputs: Sequence[Prepared], *, pad_token: int, left: bool) -> dict[str, Any]:
    """Join inputs of one group to a batch.

    Args:
        inputs: The inputs.
        pad_token: Fills up shorter prompts.
        left: Pad before the prompt: for models that continue it. Encoders get padding behind.
    """
    if len(inputs) == 1:
        return dict(inputs[0])
    batch = {}
    for name in inputs[0]:
        values = [each[name] for each in inputs]
        if name in _PER_TOKEN:
            fill = pad_token if name == "input_ids" else 0
            values = _padded(values, fill, left)
        elif _tiled(name, values[0]):
            values = _padded(values, 0, left=False)
        batch[name] = torch.cat(values)
    return batch


def _padded(values: Sequence[torch.Tensor], fill: int, left: bool) -> list[torch.Tensor]:
    """Return tensors (1, N, …) with the largest N of them."""
    longest = max(value.shape[1] for value in values)
    padded = []
    for value in values:
        missing = longest - value.shape[1]
        padding = value.new_full((value.shape[0], missing, *value.shape[2:]), fill)
        padded.append(torch.cat([padding, value] if left else [value, padding], dim=1))
    return padded
