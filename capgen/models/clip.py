"""Models that compare images with texts: CLIP and the like, for scores of captions.

Any that transformers loads and that has features of images and of texts with one width: CLIP,
SigLIP, AltCLIP, Chinese CLIP, MetaCLIP, …
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from transformers import AutoModel

from capgen.errors import ModelError
from capgen.models.folder import ModelFolder
from capgen.models.loading import load_config, load_weights, quiet_transformers
from capgen.models.out_of_memory import device_memory_errors
from capgen.models.processors import load_processor

Features = npt.NDArray[np.float32]
# Kinds that were trained with texts filled up to their full length, and misread shorter ones.
_FULL_LENGTH = ("siglip", "siglip2")


class ClipModel:
    """Computes features in float32.

    Args:
        folder: The model folder, with safetensors weights, a tokenizer and the settings of the
            image processor.
        device: Where to compute.

    Raises:
        ModelError: It is not such a model, or damaged.
        UnsafeModelError: The only weights are pickled.
    """

    def __init__(self, folder: ModelFolder, device: torch.device) -> None:
        with quiet_transformers():
            config, processor = _parts(folder)
            model: Any = load_weights(folder, AutoModel, dtype=torch.float32)
        self.name = folder.name
        self._model = model.eval().to(device)
        self._device = device
        self._prepare = processor.image_processor
        self._tokenizer = processor.tokenizer
        positions = getattr(config.get_text_config(), "max_position_embeddings", 77)
        self._positions = min(self._tokenizer.model_max_length, positions)
        self._padding = "max_length" if config.model_type in _FULL_LENGTH else True

    def prepare(self, image: Image.Image) -> Features:
        """Return the (3, H, W) pixels of an RGB image as the model's own processor makes them."""
        pixels: Features = self._prepare(images=image, return_tensors="np")["pixel_values"][0]
        return pixels

    def image_features(self, pixels: Sequence[Features]) -> Features:
        """Return the (images, width) features of what `prepare` made."""
        batch = torch.from_numpy(np.stack(pixels)).to(self._device)
        with self._memory(), torch.inference_mode():
            return _array(self._model.get_image_features(pixel_values=batch))

    def text_features(self, texts: Sequence[str]) -> Features:
        """Return the (texts, width) features; texts that are too long are cut."""
        tokens = self._tokenizer(
            list(texts),
            padding=self._padding,
            truncation=True,
            max_length=self._positions,
            return_tensors="pt",
        )
        names = ("input_ids", "attention_mask")
        known = {name: tokens[name].to(self._device) for name in names if name in tokens}
        with self._memory(), torch.inference_mode():
            return _array(self._model.get_text_features(**known))

    def _memory(self) -> AbstractContextManager[None]:
        return device_memory_errors(
            f"{self.name} needs more memory than {self._device} has left",
            hint="Use --device cpu, or a smaller --clip-model.",
        )


def check_clip(folder: ModelFolder) -> None:
    """Check what a `ClipModel` needs, without reading the weights.

    Raises:
        ModelError, UnsafeModelError: As for `ClipModel`.
    """
    with quiet_transformers():
        _parts(folder)


def _parts(folder: ModelFolder) -> tuple[Any, Any]:
    """Return the configuration and the processor of a folder that has weights, too."""
    config = load_config(folder)
    kind = AutoModel._model_mapping.get(type(config), None)
    if not all(hasattr(kind, f"get_{what}_features") for what in ("image", "text")):
        raise ModelError(
            f"{folder.name} is a '{config.model_type}' model, which does not compare images "
            "with texts",
            hint="Use a CLIP, such as openai/clip-vit-base-patch32.",
        )
    folder.check_weights()
    return config, load_processor(folder)


def _array(output: Any) -> Features:
    """Return features as float32; transformers 5 gives them as the pooled output."""
    features = output if isinstance(output, torch.Tensor) else output.pooler_output
    array: Features = features.float().cpu().numpy()
    return array
