"""What the image encoder of a torch captioner makes of images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.modeling_outputs import BaseModelOutput

from capgen.errors import ModelError
from capgen.models.folder import ModelFolder
from capgen.models.foreign import image_encoder


def encoder_states(folder: ModelFolder, model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Map pixels (B, 3, H, W) to features (B, cells, width).

    Raises:
        ModelError: The encoder is not known.
    """
    states: torch.Tensor = image_encoder(folder, model)(pixel_values=pixels)[0]
    return states


@dataclass(frozen=True)
class Encoded:
    """A batch of images as a captioner's `generate` takes them.

    Attributes:
        pixels: (B, 3, H, W).
        output: What the encoder makes of them, if there is a concept head; else it is left to
            `generate`.
    """

    pixels: torch.Tensor
    output: Any = None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments of `generate`."""
        if self.output is None:
            return {"pixel_values": self.pixels}
        # A new one each time: `generate` changes what it gets.
        return {"encoder_outputs": BaseModelOutput(self.output.last_hidden_state)}

    @property
    def concept_logits(self) -> NDArray[np.float32] | None:
        """(B, C) logits of the concept head, or None without one."""
        if self.output is None:
            return None
        logits: NDArray[np.float32] = self.output.concept_logits.float().cpu().numpy()
        return logits

    def row(self, number: int) -> Encoded:
        """Return one image of the batch."""
        part = slice(number, number + 1)
        if self.output is None:
            return Encoded(self.pixels[part])
        kept = {name: value[part] for name, value in self.output.items()}
        return Encoded(self.pixels[part], type(self.output)(**kept))


def with_concepts(folder: ModelFolder, model: Any, pixels: torch.Tensor) -> Encoded:
    """Encode images (B, 3, H, W) with a model that has a concept head."""
    with torch.inference_mode():
        return Encoded(pixels, image_encoder(folder, model)(pixel_values=pixels))


@contextlib.contextmanager
def kept_encoder_outputs(folder: ModelFolder, model: Any) -> Iterator[list[Any]]:
    """Collect the encoder's outputs; nothing if the encoder is not known."""
    outputs: list[Any] = []
    try:
        encoder = image_encoder(folder, model)
    except ModelError:
        yield outputs
        return
    hook = encoder.register_forward_hook(lambda *call: outputs.append(call[-1]))
    try:
        yield outputs
    finally:
        hook.remove()


def summaries(
    folder: ModelFolder, model: Any, outputs: Sequence[Any], images: int
) -> NDArray[np.float32]:
    """Return the (B, D) summaries that `Generated` describes.

    Args:
        folder: The model folder.
        model: The model.
        outputs: What `kept_encoder_outputs` collected.
        images: Number of images that were encoded.

    Raises:
        ModelError: The encoder is not known.
    """
    image_encoder(folder, model)
    states = [each[0] if isinstance(each, tuple) else each.last_hidden_state for each in outputs]
    with torch.inference_mode():
        pooled = torch.cat([_projected(model, each).mean(1) for each in states])
    # Some kinds of model encode an image once per beam.
    return pooled[:: len(pooled) // images].float().cpu().numpy()


def _projected(model: Any, states: torch.Tensor) -> torch.Tensor:
    """Map states to the first layer's cross-attention values, where the decoder is a GPT-2."""
    if hasattr(model, "enc_to_dec_proj"):
        states = model.enc_to_dec_proj(states)
    blocks = getattr(getattr(getattr(model, "decoder", None), "transformer", None), "h", None)
    if not blocks or not hasattr(blocks[0], "crossattention"):
        return states
    return blocks[0].crossattention.c_attn(states).chunk(2, dim=-1)[1]
