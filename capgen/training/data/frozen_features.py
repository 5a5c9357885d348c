"""Features of a frozen encoder: computed once per image and cached as float16."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from capgen.models.efficientnet import Backbone
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.records import Example, PreparationEvent
from capgen.training.data.feature_cache import CacheFile
from capgen.training.data.images import image_blocks, input_size, normalizer, shape_key

_BATCH = 16

Front = Callable[[NDArray[np.float32]], NDArray[Any]]


class FrozenFront:
    """The frozen part of an encoder, and the fastest way to compute it.

    Splits and data sets share it, so that its weights are hashed and its graph is exported once:
    exporting an EfficientNet takes seconds.

    Args:
        module: From pixels (B, 3, H, W) to features (B, …).
        preprocessor: The model's.
        device: Where to compute.
    """

    def __init__(self, module: nn.Module, preprocessor: Preprocessor, device: torch.device) -> None:
        self.preprocessor = preprocessor
        self._module = module
        self._device = device

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return weights_digest(self._module)

    def runner(self) -> Front:
        """Return a function that computes the features.

        On CPUs ONNX Runtime is many times faster than torch for the depthwise convolutions of an
        EfficientNet; for transformers there is little difference.
        """
        packages = ("onnx", "onnxscript", "onnxruntime")
        exportable = all(importlib.util.find_spec(name) is not None for name in packages)
        convolutional = any(isinstance(module, Backbone) for module in self._module.modules())
        if self._device.type == "cpu" and convolutional and exportable:
            return _onnx_runner(self._graph)  # a session each time: it holds much memory
        return _torch_runner(self._module, self._device)

    @cached_property
    def _graph(self) -> bytes:
        return _trace(self._module, input_size(self.preprocessor))


def feature_array(
    examples: Sequence[Example], front: FrozenFront, *, split: str, digest: str, workers: int | None
) -> Generator[PreparationEvent, None, NDArray[Any]]:
    """Return the features of a split's images, memory-mapped float16 (N, …).

    Decodes images in `workers` threads, by default one per core. `digest` is the data set's.
    """
    preprocessor = front.preprocessor
    scale, shift = normalizer(preprocessor)
    file = CacheFile(
        split=split,
        sources=(digest, shape_key(preprocessor), f"{scale} {shift}", front.digest),
        rows=len(examples),
    )

    def blocks() -> Iterator[NDArray[np.float16]]:
        run = front.runner()
        for images in image_blocks(examples, preprocessor, workers):
            for start in range(0, len(images), _BATCH):
                pixels = images[start : start + _BATCH] * scale + shift  # (B, H, W, 3) float32
                features = run(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
                yield features.astype(np.float16)

    return (yield from file.get(blocks()))


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of a module's parameters and buffers, names included."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(f"{name} {tuple(tensor.shape)}".encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _trace(module: nn.Module, size: tuple[int, int]) -> bytes:
    from capgen.models.onnx.export import trace

    return trace(module.eval(), size, ["features"]).SerializeToString()


def _onnx_runner(graph: bytes) -> Front:
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def run(pixels: NDArray[np.float32]) -> NDArray[Any]:
        (features,) = session.run(["features"], {"pixel_values": pixels})
        return np.asarray(features)

    return run


def _torch_runner(front: nn.Module, device: torch.device) -> Front:
    front.eval()

    @torch.inference_mode()
    def run(pixels: NDArray[np.float32]) -> NDArray[Any]:
        features = front(torch.from_numpy(pixels).to(device))
        return np.asarray(features.float().cpu().numpy())

    return run
