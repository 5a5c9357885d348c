"""Image to array: resize, crop, rescale and normalise as a `preprocessor_config.json` says.

Reads and writes the files of Hugging Face image processors and computes the same numbers as their
Pillow-backed classes, without transformers or torch. Takes upright RGB images (see
`capgen.images.load`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen import paths
from capgen.errors import ImageError, ModelError
from capgen.json_files import read_json
from capgen.models.preprocessing.config_file import read_config

FILE_NAME = "preprocessor_config.json"
# Above this many resized pixels, only the part that the crop keeps is computed.
_WHOLE_RESIZE_LIMIT = 1 << 24
_RESIZED_LIMIT = 1 << 28
_LARGEST_EDGE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """How a model wants its images.

    At most one of `size` and `shortest_edge` is set; with neither, nothing is resized.

    Attributes:
        size: Exact (height, width) to resize to, whatever the image's shape.
        shortest_edge: Resize so that the shorter side is this long, keeping the shape.
        longest_edge: With `shortest_edge`: the longer side is never longer than this.
        resample: Pillow's number of the filter (2 bilinear, 3 bicubic).
        crop: (height, width) to cut from the centre after resizing; zeros pad a smaller image.
        rescale_factor: Factor for pixels in 0..255, or None.
        mean: Subtracted per channel after rescaling, or None.
        std: Divides each channel after subtracting `mean`; set exactly when `mean` is.

    Raises:
        ModelError: A value is impossible (a negative size, a zero std).
    """

    size: tuple[int, int] | None = None
    shortest_edge: int | None = None
    longest_edge: int | None = None
    resample: int = 2
    crop: tuple[int, int] | None = None
    rescale_factor: float | None = 1 / 255
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.size is not None and self.shortest_edge is not None:
            raise ModelError("image size: give an exact size or shortest_edge, not both")
        if (self.mean is None) != (self.std is None):
            raise ModelError("image_mean and image_std must be given together")
        edges = (*(self.size or ()), *(self.crop or ()), self.shortest_edge, self.longest_edge)
        for edge in edges:
            if edge is not None and not 1 <= edge <= _LARGEST_EDGE:
                raise ModelError(f"image size {edge} is not between 1 and {_LARGEST_EDGE}")
        if self.resample not in range(6):
            raise ModelError(f"resample is {self.resample!r}; Pillow's filters are 0 to 5")
        numbers = (self.rescale_factor or 0.0, *(self.mean or ()), *(self.std or ()))
        if not all(map(math.isfinite, numbers)) or 0 in (self.std or ()):
            raise ModelError("rescale_factor, image_mean and image_std must be finite, std not 0")

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) of every array, or None if it depends on the image."""
        return self.crop or self.size

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Return one RGB image as the model's input, float32 of shape (3, H, W).

        Raises:
            ImageError: The image's shape is so extreme that resizing it would need more than
                2^28 pixels.
        """
        return self.normalise(self.reshape(image))

    def reshape(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return one RGB image resized and cropped, not yet normalised: uint8 (H, W, 3)."""
        return np.array(self._reshape(image))

    def normalise(self, reshaped: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rescale and normalise what `reshape` returned: uint8 (H, W, 3) → float32 (3, H, W)."""
        array = np.empty((3, *reshaped.shape[:2]), dtype=np.float32)
        factor = self.rescale_factor if self.rescale_factor is not None else 1.0
        mean, std = self.mean or (0.0, 0.0, 0.0), self.std or (1.0, 1.0, 1.0)
        # ((pixel * factor) - mean) / std as one multiplication and one addition per channel.
        for channel, plane in enumerate(array):
            band = reshaped[..., channel]
            np.multiply(band, np.float32(factor / std[channel]), out=plane)
            if mean[channel]:
                plane -= np.float32(mean[channel] / std[channel])
        return array

    def _reshape(self, image: Image.Image) -> Image.Image:
        height, width = self._resized(image.height, image.width)
        crop_height, crop_width = self.crop or (height, width)
        # Floor division of negative numbers, too, as in transformers' zero padding.
        top, left = (height - crop_height) // 2, (width - crop_width) // 2
        if height * width > _WHOLE_RESIZE_LIMIT:
            kept = (max(top, 0), max(left, 0), min(crop_height, height), min(crop_width, width))
            image = _resize_part(image, (height, width), kept, self.resample)
            top, left = min(top, 0), min(left, 0)
        elif (height, width) != (image.height, image.width):
            image = image.resize((width, height), Image.Resampling(self.resample))
        if (crop_height, crop_width) != (image.height, image.width):
            image = image.crop((left, top, left + crop_width, top + crop_height))
        return image

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) that resizing gives, with transformers' rounding."""
        if self.size is not None:
            return self.size
        if self.shortest_edge is None:
            return height, width
        short, long = sorted((height, width))
        edge: float = self.shortest_edge
        new_short = self.shortest_edge
        if self.longest_edge is not None and long / short * edge > self.longest_edge:
            edge = self.longest_edge * short / long
            new_short = max(1, round(edge))
            if new_short == short:  # as in transformers, however long the other side
                return height, width
        new_long = max(1, int(edge * long / short))
        return (new_short, new_long) if height <= width else (new_long, new_short)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], *, kind: str = "") -> Self:
        """Read the mapping of a `preprocessor_config.json`: see `read_config`."""
        return cls(**read_config(config, kind=kind))

    @classmethod
    def from_file(cls, path: Path, *, kind: str = "") -> Self:
        """Read a `preprocessor_config.json` or `processor_config.json`: see `read_config`."""
        config = read_json(path, ModelError)
        try:
            return cls.from_dict(config, kind=kind)
        except ModelError as error:
            raise ModelError(f"{path}: {error.message}", hint=error.hint) from error

    def to_dict(self) -> dict[str, Any]:
        """Return a config that transformers' image processors read the same way."""
        exact = self.shortest_edge is None and self.crop is None
        size = self.size and _height_width(self.size)
        if self.shortest_edge is not None:
            size = {"shortest_edge": self.shortest_edge}
            size |= {"longest_edge": self.longest_edge} if self.longest_edge is not None else {}
        config: dict[str, Any] = {
            "image_processor_type": "ViTImageProcessor" if exact else "CLIPImageProcessor",
            "do_convert_rgb": True,
            "do_resize": self.size is not None or self.shortest_edge is not None,
            "do_rescale": self.rescale_factor is not None,
            "do_normalize": self.mean is not None,
            "resample": self.resample,
            "size": size,
            "do_center_crop": None if exact else self.crop is not None,
            "crop_size": self.crop and _height_width(self.crop),
            "rescale_factor": self.rescale_factor,
            "image_mean": self.mean and list(self.mean),
            "image_std": self.std and list(self.std),
        }
        return {key: value for key, value in config.items() if value is not None}

    def to_file(self, path: Path) -> None:
        """Write `to_dict` as JSON to `path`, atomically."""
        paths.write_text(path, json.dumps(self.to_dict(), indent=2) + "\n")


def _resize_part(
    image: Image.Image, size: tuple[int, int], kept: tuple[int, int, int, int], resample: int
) -> Image.Image:
    """Return the part `kept` (top, left, height, width) of `image` resized to `size`.

    Only for extremely narrow images (1×50,000 pixels at shortest edge 224 is 2.5 billion
    pixels): Pillow may resize the axes of a part in another order, so that rounding and
    clipping in between differ from transformers' whole resize.
    """
    top, left, kept_height, kept_width = kept
    if kept_height * kept_width > _RESIZED_LIMIT:
        raise ImageError(
            f"an image of {image.width}×{image.height} pixels would be resized to "
            f"{kept_width}×{kept_height} for this model",
            code="too_large",
            hint="Crop the image to a less extreme shape.",
        )
    scale_y, scale_x = image.height / size[0], image.width / size[1]
    box = (
        left * scale_x,
        top * scale_y,
        min((left + kept_width) * scale_x, image.width),
        min((top + kept_height) * scale_y, image.height),
    )
    return image.resize((kept_width, kept_height), Image.Resampling(resample), box=box)


def _height_width(size: tuple[int, int]) -> dict[str, int]:
    return {"height": size[0], "width": size[1]}
