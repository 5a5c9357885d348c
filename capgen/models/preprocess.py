"""Photo to array: resize, crop, rescale and normalise as a `preprocessor_config.json` says.

Reads and writes the files of Hugging Face image processors and gives the numbers their
Pillow-backed classes give, without transformers or torch. Knows nothing about files of
pictures, orientation or colour modes: it takes RGB images (see `capgen.inference.images`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen import paths
from capgen.errors import ImageError, ModelError

FILE_NAME = "preprocessor_config.json"
# Above this many resized pixels only the part that the crop keeps is computed.
_WHOLE_RESIZE_LIMIT = 1 << 24
_RESIZED_LIMIT = 1 << 28
_LARGEST_EDGE = 1 << 16


class _Defaults(NamedTuple):
    """What an image processor class assumes where its file is silent."""

    size: dict[str, int]
    resample: int
    crop: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    square: bool = True  # whether a bare number as `size` means a square


_HALF = (0.5, 0.5, 0.5)
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_BLIP = _Defaults({"height": 384, "width": 384}, 3, None, _CLIP_MEAN, _CLIP_STD)

# By the name of the class without `ImageProcessor`, `FeatureExtractor`, `Fast` or `Pil`.
# GIT uses CLIP's class, BLIP-2 uses BLIP's.
_FAMILIES = {
    "CLIP": _Defaults({"shortest_edge": 224}, 3, 224, _CLIP_MEAN, _CLIP_STD, square=False),
    "ViT": _Defaults({"height": 224, "width": 224}, 2, None, _HALF, _HALF),
    "Blip": _BLIP,
    "DeiT": _Defaults({"height": 256, "width": 256}, 3, 224, _HALF, _HALF),
    "Siglip": _Defaults({"height": 224, "width": 224}, 3, None, _HALF, _HALF, square=False),
}
# `do_reduce_labels` concerns segmentation maps only.
_KNOWN_STEPS = {
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "do_normalize",
    "do_convert_rgb",
    "do_reduce_labels",
}
# Steps that are switched on by a key with another kind of name.
_OTHER_STEPS = ("crop_pct", "rescale_offset", "include_top", "use_square_size", "size_divisor")


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """How a model wants its pictures.

    At most one of `size` and `shortest_edge` is set; with neither, nothing is resized.

    Attributes:
        size: Exact (height, width) to resize to, whatever the picture's shape.
        shortest_edge: Resize so that the shorter side is this long, keeping the shape.
        longest_edge: With `shortest_edge`: the longer side is never longer than this.
        resample: Pillow's number of the filter (2 bilinear, 3 bicubic).
        crop: (height, width) to cut from the centre after resizing; zeros fill what a
            smaller picture lacks.
        rescale_factor: Pixels in 0..255 are multiplied by this, or None.
        mean: Subtracted a channel after rescaling, or None to leave values alone.
        std: Divided by a channel after subtracting `mean`; set exactly when `mean` is.

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
            raise ModelError("image size: exact size and shortest_edge exclude each other")
        if (self.mean is None) != (self.std is None):
            raise ModelError("image_mean and image_std go together")
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
    def do_resize(self) -> bool:
        """Whether pictures are resized."""
        return self.size is not None or self.shortest_edge is not None

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) of every array, or None when it depends on the picture."""
        return self.crop or self.size

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Return one RGB picture as the model's input, float32 of shape (3, H, W).

        Raises:
            ImageError: The picture's shape is so extreme that resizing it asks for more
                than 2^28 pixels.
        """
        reshaped = self._reshape(image)
        array = np.empty((3, reshaped.height, reshaped.width), dtype=np.float32)
        self._fill(array, reshaped)
        return array

    def preprocess_batch(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return RGB pictures as one batch, float32 of shape (N, 3, H, W).

        Raises:
            ImageError: As for `preprocess`.
            ModelError: The pictures come out in different sizes, since this model keeps
                each picture's own shape, or there are none and the size is unknown.
        """
        reshaped = [self._reshape(image) for image in images]
        sizes = {(image.height, image.width) for image in reshaped}
        if not sizes and self.input_size is not None:
            sizes = {self.input_size}
        if len(sizes) != 1:
            raise ModelError(
                f"{len(reshaped)} pictures come out in {len(sizes)} sizes; one batch needs one",
                hint="This model keeps each picture's shape: use a batch size of 1.",
            )
        array = np.empty((len(reshaped), 3, *sizes.pop()), dtype=np.float32)
        for row, image in zip(array, reshaped, strict=True):
            self._fill(row, image)
        return array

    def _fill(self, array: NDArray[np.float32], image: Image.Image) -> None:
        """Write `image` (uint8 RGB) into `array` (3, H, W), rescaled and normalised."""
        factor = self.rescale_factor if self.rescale_factor is not None else 1.0
        mean, std = self.mean or (0.0, 0.0, 0.0), self.std or (1.0, 1.0, 1.0)
        # ((pixel * factor) - mean) / std as one multiplication and one addition a channel.
        for plane, band, channel_mean, channel_std in zip(
            array, image.split(), mean, std, strict=True
        ):
            np.multiply(np.asarray(band), np.float32(factor / channel_std), out=plane)
            if channel_mean:
                plane -= np.float32(channel_mean / channel_std)

    def _reshape(self, image: Image.Image) -> Image.Image:
        """Resize and crop."""
        height, width = self._resized(image.height, image.width)
        crop_height, crop_width = self.crop or (height, width)
        # Floor division of a negative number too: what transformers' padding comes to.
        top, left = (height - crop_height) // 2, (width - crop_width) // 2
        pixels = height * width
        if pixels > _WHOLE_RESIZE_LIMIT and top >= 0 and left >= 0:
            # A needle of a picture: compute only what is kept. Not done for every picture,
            # since rounding then differs from transformers' by a grey level here and there.
            if crop_height * crop_width > _RESIZED_LIMIT:
                raise ImageError(
                    f"a picture of {image.width}×{image.height} pixels would be resized to "
                    f"{width}×{height} for this model",
                    code="too_large",
                    hint="Crop the picture to a less extreme shape.",
                )
            scale_x, scale_y = image.width / width, image.height / height
            box = (
                left * scale_x,
                top * scale_y,
                min((left + crop_width) * scale_x, image.width),
                min((top + crop_height) * scale_y, image.height),
            )
            filter_ = Image.Resampling(self.resample)
            return image.resize((crop_width, crop_height), filter_, box=box)
        if (height, width) != (image.height, image.width):
            image = image.resize((width, height), Image.Resampling(self.resample))
        if (crop_height, crop_width) != (height, width):
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
        new_long = max(1, int(edge * long / short))
        return (new_short, new_long) if height <= width else (new_long, new_short)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """Read the mapping of a `preprocessor_config.json` (or `processor_config.json`).

        What the file leaves out follows the class it names; files of transformers 4 and 5
        and of the older feature extractors are understood.

        Raises:
            ModelError: It asks for a step that is not supported, leaves out what its class
                does not imply, or holds impossible values.
        """
        nested = config.get("image_processor")
        config = nested if isinstance(nested, Mapping) else config
        # transformers takes null for "the default", too.
        config = {key: value for key, value in config.items() if value is not None}
        for key in config:
            unknown = key.startswith("do_") and key not in _KNOWN_STEPS
            if (unknown or key in _OTHER_STEPS) and config[key]:
                raise ModelError(f"the picture preprocessing step {key} is not supported")
        family = _family(config)
        defaults = _FAMILIES.get(family)
        size: dict[str, Any] = {}
        if config.get("do_resize", True):
            size = _size(config, defaults)
        crop = None
        if config.get("do_center_crop", defaults is not None and defaults.crop is not None):
            crop = _crop(config, defaults)
        mean = std = None
        if config.get("do_normalize", True):
            mean = _channels(config, "image_mean", defaults and defaults.mean)
            std = _channels(config, "image_std", defaults and defaults.std)
        factor = None
        if config.get("do_rescale", True):
            factor = _number(config.get("rescale_factor", 1 / 255), "rescale_factor")
        fallback = 2 if defaults is None else defaults.resample
        return cls(
            **size,
            resample=_integer(config.get("resample", fallback), "resample"),
            crop=crop,
            rescale_factor=factor,
            mean=mean,
            std=std,
        )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a `preprocessor_config.json`.

        Raises:
            ModelError: The file is missing, not JSON, or as for `from_dict`.
        """
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ModelError(f"{path} is missing: how pictures are resized is unknown") from error
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{path} is not valid JSON: {error}") from error
        if not isinstance(config, dict):
            raise ModelError(f"{path} is not a JSON object")
        try:
            return cls.from_dict(config)
        except ModelError as error:
            raise ModelError(f"{path}: {error.message}", hint=error.hint) from error

    def to_dict(self) -> dict[str, Any]:
        """Return a config that transformers' own image processors read the same way."""
        exact = self.shortest_edge is None and self.crop is None
        config: dict[str, Any] = {
            "image_processor_type": "ViTImageProcessor" if exact else "CLIPImageProcessor",
            "do_convert_rgb": True,
            "do_resize": self.do_resize,
            "do_rescale": self.rescale_factor is not None,
            "do_normalize": self.mean is not None,
            "resample": self.resample,
        }
        if self.size is not None:
            config["size"] = _height_width(self.size)
        elif self.shortest_edge is not None:
            config["size"] = {"shortest_edge": self.shortest_edge}
            if self.longest_edge is not None:
                config["size"]["longest_edge"] = self.longest_edge
        if not exact:
            config["do_center_crop"] = self.crop is not None
        if self.crop is not None:
            config["crop_size"] = _height_width(self.crop)
        if self.rescale_factor is not None:
            config["rescale_factor"] = self.rescale_factor
        if self.mean is not None and self.std is not None:
            config["image_mean"] = list(self.mean)
            config["image_std"] = list(self.std)
        return config

    def to_file(self, path: Path) -> None:
        """Write `to_dict` as JSON to `path`, atomically.

        Raises:
            StorageError: The place cannot be written.
        """
        paths.write_text(path, json.dumps(self.to_dict(), indent=2) + "\n")


def _family(config: Mapping[str, Any]) -> str:
    """Return the class a config names, without its endings, as in `CLIP`."""
    name = str(config.get("image_processor_type", config.get("feature_extractor_type", "")))
    for ending in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        name = name.removesuffix(ending)
    return name


def _size(config: Mapping[str, Any], defaults: _Defaults | None) -> dict[str, Any]:
    """Return the constructor arguments that a config's `size` stands for."""
    size = config.get("size", defaults and defaults.size)
    if isinstance(size, int):
        square = defaults is None or defaults.square
        size = {"height": size, "width": size} if square else {"shortest_edge": size}
    elif isinstance(size, list | tuple) and len(size) == 2:
        size = {"height": size[0], "width": size[1]}
    if size is None:
        raise _incomplete("size")
    if not isinstance(size, Mapping):
        raise ModelError(f"image size {size!r} is not understood")
    edges = {key: _integer(edge, "size") for key, edge in size.items() if edge is not None}
    if set(edges) == {"height", "width"}:
        return {"size": (edges["height"], edges["width"])}
    if "shortest_edge" in edges and set(edges) <= {"shortest_edge", "longest_edge"}:
        return edges
    raise ModelError(
        f"image size with {', '.join(sorted(edges)) or 'no keys'} is not supported",
        hint="capgen knows height and width, or shortest_edge.",
    )


def _crop(config: Mapping[str, Any], defaults: _Defaults | None) -> tuple[int, int]:
    crop = config.get("crop_size", defaults and defaults.crop)
    if crop is None:
        raise _incomplete("crop_size")
    if isinstance(crop, int):
        crop = {"height": crop, "width": crop}
    elif isinstance(crop, list | tuple) and len(crop) == 2:
        crop = {"height": crop[0], "width": crop[1]}
    if not isinstance(crop, Mapping) or not {"height", "width"} <= set(crop):
        raise ModelError(f"crop_size {crop!r} is not understood")
    return _integer(crop["height"], "crop_size"), _integer(crop["width"], "crop_size")


def _channels(
    config: Mapping[str, Any], key: str, default: tuple[float, float, float] | None
) -> tuple[float, float, float]:
    values = config.get(key, default)
    if values is None:
        raise _incomplete(key)
    if isinstance(values, int | float):
        values = [values]
    if isinstance(values, list | tuple) and len(values) == 1:
        values = [values[0]] * 3
    if not isinstance(values, list | tuple) or len(values) != 3:
        raise ModelError(f"{key} is {values!r}; it must be three numbers")
    red, green, blue = (_number(value, key) for value in values)
    return red, green, blue


def _incomplete(key: str) -> ModelError:
    return ModelError(
        f"the preprocessor config has no {key}, and its image processor type implies none",
        hint="Known types: " + ", ".join(f"{name}ImageProcessor" for name in _FAMILIES),
    )


def _integer(value: Any, key: str) -> int:
    number = _number(value, key)
    if number != int(number):
        raise ModelError(f"{key} is {value!r}; it must be a whole number")
    return int(number)


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ModelError(f"{key} is {value!r}; it must be a number")
    return float(value)


def _height_width(size: tuple[int, int]) -> dict[str, int]:
    return {"height": size[0], "width": size[1]}
