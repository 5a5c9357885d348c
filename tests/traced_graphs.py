"""Encoders that were traced for ONNX, remembered by what they compute.

Tracing takes seconds of processor time, and tests export the same tiny captioners again and again,
with other weights or words. Each architecture is traced once in a whole run.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

Trace = Callable[[nn.Module, tuple[int, int], list[str]], onnx.ModelProto]
# Weights of a decoder that its encoder's graph has nothing to do with; they go by the vocabulary.
_OF_WORDS = ("decoder.transformer.wte.", "decoder.transformer.wpe.", "decoder.lm_head.")
# Settings that change no graph; the weights' own types are looked at.
_WITHOUT_EFFECT = ("vocab_size", "_token_id", "n_positions", "dtype")


def remembering(trace: Trace, folder: Path) -> Trace:
    """Return `trace` so that it takes from a folder, with the weights it is given, what is there.

    Args:
        trace: `capgen.models.onnx.export.trace`.
        folder: Where the graphs are kept; processes may share it.
    """

    def remembered(
        graph: nn.Module, image_size: tuple[int, int], output_names: list[str]
    ) -> onnx.ModelProto:
        state = graph.state_dict() | dict(graph.named_buffers())
        file = folder / f"{_key(graph, image_size, output_names)}.onnx"
        if file.is_file():
            proto = onnx.ModelProto.FromString(file.read_bytes())
            for tensor in proto.graph.initializer:
                if tensor.name in state:
                    tensor.CopyFrom(_tensor(tensor.name, state[tensor.name]))
            return proto
        proto = trace(graph, image_size, output_names)
        if _weights_are_named(proto, state):
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as new:
                new.write(proto.SerializeToString())
            Path(new.name).rename(file)
        return proto

    return remembered


def _key(graph: nn.Module, image_size: tuple[int, int], output_names: list[str]) -> str:
    """Return a digest of all that a graph depends on but the values of its weights."""
    known: list[object] = [type(graph).__qualname__, image_size, output_names]
    state = graph.state_dict() | dict(graph.named_buffers())
    for name, tensor in state.items():
        if not name.startswith(_OF_WORDS):
            known.append((name, tensor.dtype, tuple(tensor.shape)))
    for name, module in graph.named_modules():
        known.append((name, type(module).__qualname__, module.training))
        if not any(True for _ in module.children()):
            known.append("" if f"{name}.".startswith(_OF_WORDS) else repr(module))
        if hasattr(module, "config"):
            settings = module.config.to_dict().items()
            known.append(sorted(str(i) for i in settings if not i[0].endswith(_WITHOUT_EFFECT)))
            known.append(module.config._attn_implementation)
    return hashlib.sha256(repr(known).encode()).hexdigest()


def _tensor(name: str, value: torch.Tensor) -> onnx.TensorProto:
    return numpy_helper.from_array(value.detach().cpu().contiguous().numpy(), name)


def _weights_are_named(proto: onnx.ModelProto, state: dict[str, torch.Tensor]) -> bool:
    """Whether no number in a graph comes from a weight without having its name.

    What else there is, shapes and constants of formulas, is small.
    """
    return all(
        (tensor.name in state and tensor == _tensor(tensor.name, state[tensor.name]))
        or numpy_helper.to_array(tensor).size <= 8
        for tensor in proto.graph.initializer
    )
