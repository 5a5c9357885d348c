"""A caption explained: where the model looked for each of its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.captioning.attention import CaptionAttention, seen_part, word_maps
from capgen.config import ImageLimits
from capgen.images.load import DEFAULT_LIMITS
from capgen.records import Caption

if TYPE_CHECKING:
    from capgen.captioning.captioner import Captioner
    from capgen.captioning.prepare import ImageInput


def explains(captioner: Captioner) -> bool:
    """Whether attention can be had: the model has cross-attention."""
    return not captioner.runtime.obstacle()


def explain(
    captioner: Captioner,
    image: ImageInput,
    caption: Caption,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> CaptionAttention:
    """Replay a caption and return where the model looked.

    Args:
        captioner: The model that made the caption.
        image: The image.
        caption: The caption, with its tokens.
        limits: The largest image to decode.

    Raises:
        ImageError: The image cannot be read.
        ModelError: The model has no cross-attention, or its image features are no grid.
    """
    upright = captioner.load(image, limits=limits).image
    preprocessor = captioner.runtime.preprocessor
    pixels = preprocessor.preprocess(upright)
    return CaptionAttention(
        words=tuple(word.text for word in caption.words),
        maps=word_maps(captioner.runtime, pixels, caption, captioner.name),
        image=seen_part(preprocessor, upright),
    )
