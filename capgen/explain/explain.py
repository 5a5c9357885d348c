"""A caption explained: where the model looked for each of its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.captioning.attention import CaptionAttention, seen_part, word_maps
from capgen.captioning.to_record import error_of
from capgen.config import ImageLimits
from capgen.errors import ModelError
from capgen.images.load import DEFAULT_LIMITS, ImageSource
from capgen.records import Caption, CaptionFailure

if TYPE_CHECKING:
    from PIL import Image

    from capgen.captioning.captioner import Captioner
    from capgen.captioning.prepare import Prepared


def explains(captioner: Captioner) -> bool:
    """Whether captions can be explained: the model has cross-attention."""
    return not captioner.runtime.obstacle()


def prepare_to_explain(
    captioner: Captioner, image: ImageSource, limits: ImageLimits = DEFAULT_LIMITS
) -> tuple[Prepared, Image.Image]:
    """Return an image as the model's input, and as it was decoded.

    Raises:
        ImageError: The image cannot be read.
        ModelError: The model is on a server, where nothing can be seen of it.
    """
    if captioner.runtime.in_flight:
        raise ModelError(f"Cannot look into {captioner.name}: {captioner.runtime.obstacle()}")
    prepared = captioner.prepare(image, limits=limits, keep_image=True)
    if isinstance(prepared, CaptionFailure):
        raise error_of(prepared)
    assert prepared.image is not None
    return prepared, prepared.image


def explain(
    captioner: Captioner,
    image: ImageSource,
    caption: Caption,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> CaptionAttention:
    """Return where the model that captioned an image looked for each word.

    Raises:
        ImageError: The image cannot be read.
        ModelError: The model has no cross-attention, or its image features are not a grid; or it
            is on a server.
    """
    prepared, upright = prepare_to_explain(captioner, image, limits)
    return CaptionAttention(
        words=tuple(word.text for word in caption.words),
        maps=word_maps(captioner.runtime, prepared.input, caption, captioner.name),
        image=seen_part(captioner.runtime.preprocessor, upright),
    )
