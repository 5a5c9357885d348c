"""Features of a frozen encoder: computed once for each photo and kept on disk as float16."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from capgen.models.efficientnet import Backbone
from capgen.models.preprocess import Preprocessor
from capgen.records import Example, PreparationEvent
from capgen.training.arrays import CacheFile
from capgen.training.photos import input_size, normalizer, photo_blocks, shape_key

_BATCH = 16

Front = Callable[[NDArray[np.float32]], NDArray[Any]]


def feature_array(
    examples: Sequence[Example],
    front: nn.Module,
    preprocessor: Preprocessor,
    *,
    split: str,
    digest: str,
    workers: int | None,
    device: torch.device,
) -> Generator[PreparationEvent, None, NDArray[Any]]:
    """Return what `front` makes of the photos of a split, memory-mapped float16 (N, …).

    Args:
        examples: The photos.
        front: The frozen part of the encoder, from pixels (B, 3, H, W) to features (B, …).
        preprocessor: The model's.
        split: Name of the split.
        digest: The data set's digest.
        workers: Threads that decode; None is one a core.
        device: Where to compute.

    Raises:
        DataError: A photo cannot be decoded.
        ModelError: The model keeps each picture's own shape.
        StorageError: The cache cannot be written.
    """
    scale, shift = normalizer(preprocessor)
    file = CacheFile(
        stage="features",
        split=split,
        sources=(digest, shape_key(preprocessor), f"{scale} {shift}", weights_digest(front)),
        rows=len(examples),
    )

    def blocks() -> Iterator[NDArray[np.float16]]:
        run = _runner(front, input_size(preprocessor), device)
        for photos in photo_blocks(examples, preprocessor, workers):
            for start in range(0, len(photos), _BATCH):
                pixels = photos[start : start + _BATCH] * scale + shift  # (B, H, W, 3) float32
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


def _runner(front: nn.Module, size: tuple[int, int], device: torch.device) -> Front:
    """Return the fastest way to compute `front`.

    On CPUs ONNX Runtime is many times faster than torch for the depthwise convolutions of
    an EfficientNet; for transformers there is little between them.
    """
    packages = ("onnx", "onnxscript", "onnxruntime")
    exportable = all(importlib.util.find_spec(name) is not None for name in packages)
    convolutional = any(isinstance(module, Backbone) for module in front.modules())
    if device.type == "cpu" and convolutional and exportable:
        return _onnx_runner(front, size)
    return _torch_runner(front, device)


def _onnx_runner(front: nn.Module, size: tuple[int, int]) -> Front:
    import onnxruntime

    from capgen.models.onnx_export import trace

    graph = trace(front.eval(), size, ["features"])
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )

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
