"""Reads the `preprocessor_config.json` of transformers 4, 5 and the older feature extractors.

The class that a file names implies what the file leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from capgen.errors import ModelError


class _Defaults(NamedTuple):
    """What an image processor class assumes if its file does not say."""

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
# The class of a model whose config names none, by `model_type`.
_OF_KIND = {
    "blip": "Blip",
    "clip": "CLIP",
    "clip_vision_model": "CLIP",
    "deit": "DeiT",
    "git": "CLIP",
    "siglip": "Siglip",
    "siglip_vision_model": "Siglip",
    "vit": "ViT",
}
# `do_reduce_labels` concerns segmentation maps only.
_KNOWN_STEPS = (
    *("do_resize", "do_center_crop", "do_rescale", "do_normalize"),
    *("do_convert_rgb", "do_reduce_labels"),
)
# Steps whose switches do not begin with `do_`.
_OTHER_STEPS = ("crop_pct", "rescale_offset", "include_top", "use_square_size", "size_divisor")


def read_config(config: Mapping[str, Any], *, kind: str = "") -> dict[str, Any]:
    """Return the arguments of `Preprocessor` that a preprocessor config stands for.

    Args:
        config: The mapping of a `preprocessor_config.json`, or of a `processor_config.json`
            that holds one under `image_processor`.
        kind: The model's `model_type`, which implies a class if the config names none.

    Raises:
        ModelError: The config has an unsupported step, leaves out what its class does not
            imply, or holds values of the wrong kind.
    """
    nested = config.get("image_processor")
    nested = nested if isinstance(nested, Mapping) else config
    # In transformers, null turns a step off; for other settings it means the default.
    config = {
        key: False if value is None else value
        for key, value in nested.items()
        if value is not None or key.startswith("do_")
    }
    for key, value in config.items():
        unknown = key.startswith("do_") and key not in _KNOWN_STEPS
        if (unknown or key in _OTHER_STEPS) and value:
            raise ModelError(f"the image preprocessing step {key} is not supported")
    defaults = _FAMILIES.get(_family(config) or _OF_KIND.get(kind, ""))
    settings: dict[str, Any] = {"rescale_factor": None}
    if config.get("do_resize", True):
        settings |= _size(config, defaults)
    if config.get("do_center_crop", defaults is not None and defaults.crop is not None):
        settings["crop"] = _crop(config, defaults)
    if config.get("do_rescale", True):
        settings["rescale_factor"] = _number(
            config.get("rescale_factor", 1 / 255), "rescale_factor"
        )
    if config.get("do_normalize", True):
        settings["mean"] = _channels(config, "image_mean", defaults and defaults.mean)
        settings["std"] = _channels(config, "image_std", defaults and defaults.std)
    resample = config.get("resample", 2 if defaults is None else defaults.resample)
    return settings | {"resample": _integer(resample, "resample")}


def _family(config: Mapping[str, Any]) -> str:
    """Return the class a config names, without its suffixes, such as `CLIP`."""
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
    size = _mapping(size, "size")
    edges = {key: _integer(edge, "size") for key, edge in size.items() if edge is not None}
    if set(edges) == {"height", "width"}:
        return {"size": (edges["height"], edges["width"])}
    if "shortest_edge" in edges and set(edges) <= {"shortest_edge", "longest_edge"}:
        return edges
    raise ModelError(
        f"image size with {', '.join(sorted(edges)) or 'no keys'} is not supported",
        hint="capgen supports height and width, or shortest_edge.",
    )


def _crop(config: Mapping[str, Any], defaults: _Defaults | None) -> tuple[int, int]:
    crop = config.get("crop_size", defaults and defaults.crop)
    if isinstance(crop, int):
        crop = {"height": crop, "width": crop}
    crop = _mapping(crop, "crop_size")
    if not {"height", "width"} <= set(crop):
        raise ModelError(f"crop_size {crop!r} is not supported")
    return _integer(crop["height"], "crop_size"), _integer(crop["width"], "crop_size")


def _mapping(size: Any, key: str) -> Mapping[str, Any]:
    """Return a size as a mapping; a pair is height and width."""
    if size is None:
        raise _incomplete(key)
    if isinstance(size, list | tuple) and len(size) == 2:
        return {"height": size[0], "width": size[1]}
    if not isinstance(size, Mapping):
        raise ModelError(f"{key} {size!r} is not supported")
    return size


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
