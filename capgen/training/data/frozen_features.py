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

from capgen.errors import ModelError
from capgen.models.efficientnet import Backbone, EfficientNetLiteModel
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.records import Example, Notice, PreparationEvent
from capgen.training.data.feature_cache import CacheFile
from capgen.training.data.images import image_blocks, input_size, normalizer, shape_key
from capgen.training.data.inputs import FeatureInputs, placed_rows
from capgen.training.processes.crews import ALONE, Crew

_BATCH = 16
# The extra `export`: what makes the graph.
_EXPORTER = ("onnx", "onnxscript")
# Images that torch takes at once on a CPU, where more are slower.
_IMAGES_ON_CPU = 2

Front = Callable[[NDArray[np.float32]], NDArray[Any]]


class FrozenFront:
    """The frozen part of an encoder, and the fastest way to compute it.

    Splits and data sets share it, so that its weights are hashed and its graph is exported once:
    exporting an EfficientNet takes seconds.

    Args:
        module: From pixels (B, 3, H, W) to features (B, …).
        preprocessor: The model's.
        device: Where to compute.

    Attributes:
        device: Where to compute.
    """

    def __init__(self, module: nn.Module, preprocessor: Preprocessor, device: torch.device) -> None:
        self.preprocessor = preprocessor
        self._module = module
        self.device = device

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return weights_digest(self._module)

    def runner(self) -> tuple[Front, str]:
        """Return a function that computes the features, and why it is a slow one, if it is.

        On CPUs ONNX Runtime is several times faster than torch for depthwise convolutions; for
        transformers there is little difference. The graph of our own EfficientNet-Lite ships with
        capgen; that of other encoders needs the exporter.
        """
        if self.device.type != "cpu" or not _is_depthwise(self._module):
            return _torch_runner(self._module, self.device), ""
        if isinstance(self._module, Backbone):
            return _backbone_runner(self._module), ""
        encoder = getattr(self._module, "encoder", None)
        if isinstance(encoder, EfficientNetLiteModel):  # a teacher's
            return _whole_encoder_runner(encoder), ""
        missing = [name for name in _EXPORTER if importlib.util.find_spec(name) is None]
        if missing:
            return _torch_runner(self._module, self.device), (
                f"without {' and '.join(missing)}; pip install 'capgen[export]' makes it faster"
            )
        try:
            return _onnx_runner(self._graph), ""  # a session each time: it holds much memory
        except ModelError as error:
            return _torch_runner(self._module, self.device), error.message

    @cached_property
    def _graph(self) -> bytes:
        """The exported graph.

        Raises:
            ModelError: torch cannot export the module.
        """
        return _trace(self._module, input_size(self.preprocessor))


def feature_array(
    examples: Sequence[Example],
    front: FrozenFront,
    *,
    split: str,
    digest: str,
    workers: int | None,
    crew: Crew = ALONE,
) -> Generator[PreparationEvent | Notice, None, NDArray[Any]]:
    """Return the features of a split's images, memory-mapped float16 (N, …).

    Decodes images in `workers` threads, by default one per core. `digest` is that of the images'
    data set, and of which of them `examples` are. Each process of `crew` computes a share of what
    is not cached, on its own device.
    """
    preprocessor = front.preprocessor
    scale, shift = normalizer(preprocessor)
    file = CacheFile(
        split=split,
        sources=(digest, shape_key(preprocessor), f"{scale} {shift}", front.digest),
        rows=len(examples),
        batch=_BATCH,
    )

    def blocks(first: int, stop: int) -> Iterator[NDArray[np.float16] | Notice]:
        run, slow = front.runner()
        if slow:
            yield Notice(
                message=f"torch computes the features of {split}, not ONNX Runtime: {slow}"
            )
        for images in image_blocks(examples[first:stop], preprocessor, workers):
            for start in range(0, len(images), _BATCH):
                pixels = images[start : start + _BATCH] * scale + shift  # (B, H, W, 3) float32
                features = run(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
                yield features.astype(np.float16)

    return (yield from file.get(blocks, crew))


def feature_inputs(
    examples: Sequence[Example],
    numbers: NDArray[np.int64],
    front: FrozenFront,
    split: str,
    digest: str,
    workers: int | None,
    crew: Crew = ALONE,
) -> Generator[PreparationEvent | Notice, None, FeatureInputs]:
    """Return the features of some images of a split as the model's input.

    Args:
        examples: All images of the split.
        numbers: Which of them the run uses, in order.
        front: Computes the features.
        split: The split's name.
        digest: That of the images' data set.
        workers: See `feature_array`.
        crew: See `feature_array`.
    """
    if len(numbers) < len(examples):
        digest += f" {hashlib.sha256(numbers.tobytes()).hexdigest()}"
    used = [examples[number] for number in numbers.tolist()]
    features = yield from feature_array(
        used, front, split=split, digest=digest, workers=workers, crew=crew
    )
    rows = placed_rows(np.arange(len(used)), numbers, len(examples), len(features))
    return FeatureInputs(features, front.device, rows=rows)


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of a module's parameters and buffers, names included."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(f"{name} {tuple(tensor.shape)}".encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _is_depthwise(module: nn.Module) -> bool:
    convolutions = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    return any(convolution.groups > 1 for convolution in convolutions)


def _backbone_runner(backbone: Backbone) -> Front:
    from capgen.models.onnx.backbone import onnx_backbone

    return onnx_backbone(backbone)


def _whole_encoder_runner(encoder: EfficientNetLiteModel) -> Front:
    backbone = _backbone_runner(encoder.backbone)
    neck = _torch_runner(encoder.neck, torch.device("cpu"))
    return lambda pixels: neck(backbone(pixels))


def _trace(module: nn.Module, size: tuple[int, int]) -> bytes:
    from capgen.models.onnx.export import trace

    return trace(module.eval(), size, ["features"]).SerializeToString()


def _onnx_runner(graph: bytes) -> Front:
    import onnxruntime

    from capgen.models.onnx.backbone import session_options

    session = onnxruntime.InferenceSession(
        graph, session_options(), providers=["CPUExecutionProvider"]
    )

    def run(pixels: NDArray[np.float32]) -> NDArray[Any]:
        (features,) = session.run(["features"], {"pixel_values": pixels})
        return np.asarray(features)

    return run


def _torch_runner(front: nn.Module, device: torch.device) -> Front:
    front.eval()
    several = _IMAGES_ON_CPU if device.type == "cpu" else _BATCH

    @torch.inference_mode()
    def run(pixels: NDArray[np.float32]) -> NDArray[Any]:
        images = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
        features = [front(some.to(device)).float().cpu() for some in torch.split(images, several)]
        return np.asarray(torch.cat(features).numpy())

    return run
