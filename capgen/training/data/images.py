"""Training images: decoded once to uint8 at the model's input size, as in captioning."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from capgen.data.cache.images import CachedImages, Shape, cached_images, decode
from capgen.data.events import Progress
from capgen.errors import ModelError
from capgen.images.load import MODEL_MARGIN
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.records import Example, Notice, PreparationEvent

# Images that are decoded ahead.
_BLOCK = 64


def image_blocks(
    examples: Sequence[Example], preprocessor: Preprocessor, workers: int | None
) -> Iterator[NDArray[np.uint8]]:
    """Decode images in threads; yield them in order, in blocks (n, H, W, 3)."""
    shape = shape_of(preprocessor)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        current: list[Future[NDArray[np.uint8]]] = []
        for start in range(0, len(examples) + _BLOCK, _BLOCK):
            # The next block is decoded while this one is used.
            block = examples[start : start + _BLOCK]
            upcoming = [pool.submit(decode, example.image, shape) for example in block]
            if current:
                yield np.stack([future.result() for future in current])
            current = upcoming


def decoded_images(
    examples: Sequence[Example], preprocessor: Preprocessor, *, split: str, workers: int | None
) -> Generator[PreparationEvent | Notice, None, CachedImages]:
    """Return the decoded images of a split from the cache, filling it first.

    Decodes in `workers` threads, by default one per core.
    """
    files = [example.image for example in examples]
    steps = cached_images(files, shape_of(preprocessor), workers=workers)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            images: CachedImages = end.value
            return images
        if isinstance(step, Progress):
            yield PreparationEvent(
                stage="photos", split=split, done=step.done, total=step.total or step.done
            )
        else:
            yield Notice(message=step.message)


def input_size(preprocessor: Preprocessor) -> tuple[int, int]:
    """Return the (height, width) of all model inputs.

    Raises:
        ModelError: The model keeps each image's own shape.
    """
    if preprocessor.input_size is None:
        raise ModelError(
            "This model keeps each image's own shape, but training needs one size",
            hint="Set a size or crop_size in its preprocessor_config.json.",
        )
    return preprocessor.input_size


def shape_of(preprocessor: Preprocessor) -> Shape:
    """Return the shape that a model's preprocessor gives every image."""
    height, width = input_size(preprocessor)
    return Shape(
        height=height, width=width, key=shape_key(preprocessor), reshape=preprocessor.reshape
    )


def shape_key(preprocessor: Preprocessor) -> str:
    """Return what decides the uint8 images, as text."""
    parts = ("size", "shortest_edge", "longest_edge", "resample", "crop")
    values = {name: getattr(preprocessor, name) for name in parts}
    return json.dumps(values | {"margin": MODEL_MARGIN})


def normalizer(preprocessor: Preprocessor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return scale and shift per channel, (3,) each: input = pixel · scale + shift."""
    factor = preprocessor.rescale_factor if preprocessor.rescale_factor is not None else 1.0
    mean = np.array(preprocessor.mean or (0.0, 0.0, 0.0))
    std = np.array(preprocessor.std or (1.0, 1.0, 1.0))
    return (factor / std).astype(np.float32), (-mean / std).astype(np.float32)
