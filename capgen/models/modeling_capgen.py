"""The captioner with its tokenizer and image processor: this file travels with pushed models.

    model = AutoModel.from_pretrained("USER/NAME", trust_remote_code=True)
    model.generate_caption("photo.jpg", num_beams=5)

It needs torch, transformers and Pillow, and nothing of capgen. The same weights load without it
as `VisionEncoderDecoderModel`, where the encoder is one that transformers knows.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import torch
from PIL import Image, ImageOps
from transformers import (
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
)

# In transformers 5.17 the name at the top asks for torchvision, without need.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

ImageOrPath = Image.Image | str | os.PathLike[str]


class CapgenConfig(VisionEncoderDecoderConfig):
    """Configuration of `CapgenModel`: that of a VisionEncoderDecoder, by another name."""


class CapgenModel(VisionEncoderDecoderModel):
    """A vision encoder and a GPT-2 that caption images."""

    config_class = CapgenConfig

    @classmethod
    def from_pretrained(cls, *arguments: Any, **options: Any) -> CapgenModel:
        """Load the model, in float32 unless `dtype` is given."""
        if not {"dtype", "torch_dtype"} & options.keys():
            options["dtype"] = torch.float32
        return super().from_pretrained(*arguments, **options)

    @cached_property
    def tokenizer(self) -> Any:
        """The decoder's tokenizer, from where the model is from."""
        return AutoTokenizer.from_pretrained(self.name_or_path, revision=self._revision)

    @cached_property
    def image_processor(self) -> Any:
        """How images become the encoder's input, computed by Pillow as capgen does."""
        return AutoImageProcessor.from_pretrained(
            self.name_or_path, revision=self._revision, backend="pil"
        )

    @property
    def _revision(self) -> str:
        """The commit that the weights are from."""
        return getattr(self.config, "_commit_hash", None) or "main"

    @torch.no_grad()
    def generate_caption(
        self,
        image: ImageOrPath | list[ImageOrPath],
        temperature: float | None = None,
        max_length: int | None = None,
        num_beams: int | None = None,
    ) -> str | list[str]:
        """Caption an image, or a list of images.

        Args:
            image: PIL image or path of a file; or a list of these.
            temperature: Divides the logits. Alone it samples; with `num_beams` above 1 the
                search runs over the scaled scores.
            max_length: Most tokens, start and end included; never more than the decoder has
                positions for.
            num_beams: Beams of the search; 1 decodes greedily.

        Returns:
            The caption, or a list of captions. What is not given comes from the model's
            generation_config.
        """
        images = [_opened(one) for one in (image if isinstance(image, list) else [image])]
        pixels = self.image_processor(images, return_tensors="pt")["pixel_values"]
        options = self._options(temperature, max_length, num_beams)
        ids = self.generate(pixel_values=pixels.to(self.device, self.dtype), **options)
        captions = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        texts = [caption.strip() for caption in captions]
        return texts if isinstance(image, list) else texts[0]

    def _options(
        self, temperature: float | None, max_length: int | None, num_beams: int | None
    ) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if max_length is not None:
            options["max_length"] = min(max_length, self.config.decoder.max_position_embeddings)
        if num_beams is not None:
            options["num_beams"] = num_beams
        if temperature is not None and (num_beams or 1) == 1:
            options |= {"do_sample": True, "num_beams": 1, "temperature": temperature, "top_k": 0}
        elif temperature is not None:
            options["logits_processor"] = LogitsProcessorList([_Temperature(temperature)])
        return options


class _Temperature(LogitsProcessor):
    """Beam search over temperature-scaled scores (transformers ignores temperature there)."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(scores / self.temperature, dim=-1)


def _opened(image: ImageOrPath) -> Image.Image:
    if not isinstance(image, Image.Image):
        with Image.open(image) as file:
            image = ImageOps.exif_transpose(file)
    return image.convert("RGB")
