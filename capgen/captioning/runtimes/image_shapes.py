"""Images whose shape processors of models would mistake or refuse."""

from __future__ import annotations

from PIL import Image

from capgen.errors import ImageError

# Processors enlarge or refuse narrower images, and take few rows for colour channels.
_LEAST_SIDE = 8
_LARGEST_RATIO = 100


def with_enough_sides(image: Image.Image) -> Image.Image:
    """Return an image, enlarged if it is tiny, so that no processor takes rows for channels.

    Raises:
        ImageError: Processors would enlarge its shape beyond memory, or refuse it.
    """
    short, long = sorted(image.size)
    if long > _LARGEST_RATIO * short:
        raise ImageError(
            f"an image of {image.width}×{image.height} pixels is too narrow for this model",
            code="too_large",
            hint="Crop the image to a less extreme shape.",
        )
    if short >= _LEAST_SIDE:
        return image
    factor = -(-_LEAST_SIDE // short)
    return image.resize((image.width * factor, image.height * factor))
