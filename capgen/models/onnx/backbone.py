"""EfficientNet-Lite backbones in ONNX Runtime, without the exporter.

    pixel_values (B, 3, H, W) → features (B, 1280, ceil(H/32), ceil(W/32))

The graph of each variant ships without weights, which come from a module. The frozen statistics
of its batch norms are folded into the convolutions, so a graph has nothing but Conv, Clip and Add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from capgen.models.efficientnet import BATCH_NORM_EPSILON, Backbone, BatchNorm, Block, SameConv

INPUT, OUTPUT = "pixel_values", "features"


def graph_file(variant: str) -> Path:
    """Return the graph of a variant of EfficientNet-Lite, such as `lite2`."""
    return Path(__file__).parent / "backbones" / f"{variant}.onnx"


def onnx_backbone(backbone: Backbone) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function that computes what a backbone does, several times faster on a CPU.

    It maps pixels (B, 3, H, W) to features, both float32. The weights are those of now.
    """
    weights = folded_weights(backbone)
    options = session_options()
    values = map(onnxruntime.OrtValue.ortvalue_from_numpy, weights.values())
    options.add_external_initializers(list(weights), list(values))
    session = onnxruntime.InferenceSession(
        graph_file(backbone.variant).read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def run(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        features: Any = session.run([OUTPUT], {INPUT: pixels})[0]
        return np.asarray(features)

    return run


def session_options() -> onnxruntime.SessionOptions:
    """Return options for a session beside torch: as many threads as torch has.

    Several processes on a machine would slow each other down if each took all cores.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return options


def convolutions(backbone: Backbone) -> Iterator[tuple[str, SameConv, BatchNorm]]:
    """Yield the name of each convolution, the convolution, and the norm that follows it."""
    yield "_conv_stem", backbone._conv_stem, backbone._bn0
    for index, block in enumerate(backbone._blocks):
        assert isinstance(block, Block)
        prefix = f"_blocks.{index}"
        if block.expands:
            yield f"{prefix}._expand_conv", block._expand_conv, block._bn0
        yield f"{prefix}._depthwise_conv", block._depthwise_conv, block._bn1
        yield f"{prefix}._project_conv", block._project_conv, block._bn2
    yield "_conv_head", backbone._conv_head, backbone._bn1


def folded_weights(backbone: Backbone) -> dict[str, NDArray[np.float32]]:
    """Return weights (O, I, K, K) and biases (O,) of convolutions that do the norms' work, too.

    Computed in float64, so that they are rounded once.
    """
    folded: dict[str, torch.Tensor] = {}
    for name, convolution, norm in convolutions(backbone):
        scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + BATCH_NORM_EPSILON)
        folded[f"{name}.weight"] = convolution.weight.double() * scale.view(-1, 1, 1, 1)
        folded[f"{name}.bias"] = norm.bias.double() - norm.running_mean.double() * scale
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in folded.items()}
