"""int8 export: both ONNX graphs quantised, their weights in a safetensors file of their own.

Weights become int8 with a scale per output channel, activations uint8 with a fixed scale per
tensor, calibrated on real images (static quantisation; Jacob et al., "Quantization and training
of neural networks for efficient integer-arithmetic-only inference", CVPR 2018). The scales are
fixed because ONNX Runtime's dynamic ones span a whole batch: an image's caption would depend on
its neighbours.

Weights use 7 of their bits. Processors without VNNI add pairs of products in 16 bits, which 8 bits
overflow: the bundled model's image features moved by a third. With 7 all processors agree.

A concept head stays in float. The result is a model folder that only ONNX Runtime can run.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from capgen.errors import ModelError
from capgen.models.folder import (
    CONCEPT_LOGITS,
    DECODER_GRAPH,
    ENCODER_GRAPH,
    INT8,
    WEIGHTS_FILE,
)
from capgen.models.onnx.export import external_tensor
from capgen.models.safetensors_index import PRECISION, WEIGHTS_DIGEST, header_digest, read_index
from capgen.paths import writing

Feeds = Sequence[Mapping[str, Any]]

# While it is quantised, a graph with its weights is one protobuf message of at most 2 GB.
MAX_BYTES = 1_900_000_000
# Computed in integers. With Clip fused into its convolution, the scale is for its output:
# otherwise ReLU6 would leave most of the 256 steps unused.
ENCODER_OPERATIONS = ("Conv", "Clip", "Gemm", "MatMul")
DECODER_OPERATIONS = ("Gemm",)
_OPTIONS = {
    # Ranges are moving averages over the batches: single outliers are clipped.
    "CalibMovingAverage": True,
    # 256 different logits would be too few to rank words by.
    "OpTypesToExcludeOutputQuantization": list(DECODER_OPERATIONS),
}
# Smaller tensors (scales, shapes, biases of a few channels) stay inside the graph.
_INLINE_BYTES = 1024


def quantise_folder(source: Path, output: Path, encoder: Feeds, decoder: Feeds) -> None:
    """Write int8 graphs and weights of a model into another folder.

    Args:
        source: A model folder with `onnx/` graphs.
        output: An existing folder for `model.safetensors` and `onnx/`.
        encoder: Inputs of the encoder graph for calibration.
        decoder: Inputs of the decoder graph, one per step.

    Raises:
        ModelError: The model is too large, or its graphs cannot be quantised.
    """
    if (source / WEIGHTS_FILE).stat().st_size > MAX_BYTES / 2:
        raise ModelError(f"{source}: models above {MAX_BYTES / 2e9:.1f} GB cannot become int8")
    graphs = {
        ENCODER_GRAPH: _quantise(source, ENCODER_GRAPH, encoder, ENCODER_OPERATIONS),
        DECODER_GRAPH: _quantise(source, DECODER_GRAPH, decoder, DECODER_OPERATIONS),
    }
    _quantise_embedding(graphs[DECODER_GRAPH])
    _store(graphs, output)


class _Reader(CalibrationDataReader):
    """Passes calibration inputs to ONNX Runtime's quantiser."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Mapping[str, Any] | None:
        return next(self._feeds, None)


def _quantise(
    folder: Path, graph: str, feeds: Feeds, operations: tuple[str, ...]
) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="capgen-int8-") as scratch, _quiet_quantiser():
        plain = _simplified(float_graph(folder, graph), Path(scratch))
        kept = concept_nodes(onnx.load(plain))
        quantised = Path(scratch, "quantised.onnx")
        try:
            quantize_static(
                plain,
                quantised,
                _Reader(feeds),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt8,
                op_types_to_quantize=list(operations),
                nodes_to_exclude=sorted(kept),
                extra_options=_OPTIONS,
            )
        except (ValueError, RuntimeError) as error:
            first_line = str(error).strip().split("\n")[0]
            raise ModelError(f"{folder / graph} cannot be quantised: {first_line}") from error
        proto = onnx.load(quantised)
        _store_small(proto, kept)
        return proto


def concept_nodes(proto: onnx.ModelProto) -> set[str]:
    """Return the names of the nodes that only the concept head needs.

    They stay in float: 256 steps are too few for its probabilities, of which the smallest count.
    """
    others = [output.name for output in proto.graph.output if output.name != CONCEPT_LOGITS]
    return _needed(proto, [CONCEPT_LOGITS]) - _needed(proto, others)


def _needed(proto: onnx.ModelProto, outputs: Sequence[str]) -> set[str]:
    """Return the names of the nodes that outputs of a graph depend on."""
    makers = {name: node for node in proto.graph.node for name in node.output}
    found: set[str] = set()
    waiting = list(outputs)
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting += node.input
    return found


def _store_small(proto: onnx.ModelProto, nodes: set[str]) -> None:
    """Store the weights of nodes in float16, or in uint8, where no number changes by that."""
    graph = proto.graph
    names = {name for node in graph.node if node.name in nodes for name in node.input}
    names -= {name for node in graph.node if node.name not in nodes for name in node.input}
    casts = []
    for tensor in graph.initializer:
        if tensor.name not in names or tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(all="ignore"):  # of what does not fit
            forms = (values.astype(np.uint8), values.astype(np.float16))
        small = next((each for each in forms if (each == values).all()), None)
        if small is None or values.nbytes < _INLINE_BYTES:
            continue
        stored = f"{tensor.name}.stored"
        casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(small, stored))
    ordered = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(ordered)


def float_graph(folder: Path, graph: str) -> onnx.ModelProto:
    """Return a graph with its weights inside it, as float32."""
    try:
        proto = onnx.load(folder / graph, load_external_data=False)
        _read_weights(proto, folder / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / graph} cannot be read: {error}") from error
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    nodes = []
    for node in proto.graph.node:
        stored = tensors.get(node.input[0]) if node.op_type == "Cast" else None
        if stored is None:
            nodes.append(node)
            continue
        values = numpy_helper.to_array(stored).astype(np.float32)
        stored.CopyFrom(numpy_helper.from_array(values, node.output[0]))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def _read_weights(proto: onnx.ModelProto, weights: Path) -> None:
    """Copy the tensors that a graph refers to from the safetensors file into it.

    onnx itself refuses links, and all files in the Hub's cache are links.
    """
    with weights.open("rb") as stream:
        for tensor in proto.graph.initializer:
            if tensor.data_location != TensorProto.EXTERNAL:
                continue
            place = {entry.key: entry.value for entry in tensor.external_data}
            if place.get("location") != WEIGHTS_FILE:
                raise ValueError(f"{tensor.name} is not in {WEIGHTS_FILE}")
            offset, length = int(place.get("offset", -1)), int(place.get("length", -1))
            if min(offset, length) < 0 or offset + length > weights.stat().st_size:
                raise ValueError(f"{tensor.name} is not within {WEIGHTS_FILE}")
            stream.seek(offset)
            tensor.raw_data = stream.read(length)
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]


def _simplified(proto: onnx.ModelProto, scratch: Path) -> Path:
    """Let ONNX Runtime fold constants and batch normalisation, as quantisation requires."""
    plain = scratch / "simplified.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(plain)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return plain


def _quantise_embedding(proto: onnx.ModelProto) -> None:
    """Look up int8 rows of the word table and scale those, not the whole table at every step.

    The output layer shares the int8 weights of the word table, as it shares the float ones.
    """
    graph = proto.graph
    tables = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    lookups = [node for node in graph.node if node.op_type == "Gather" and node.input[0] in tables]
    for number, lookup in enumerate(lookups):
        rows, scale, _ = tables[lookup.input[0]].input
        values = next(tensor for tensor in graph.initializer if tensor.name == scale)
        column = numpy_helper.to_array(values)[:, None]
        graph.initializer.append(numpy_helper.from_array(column, f"row_scale_{number}"))
        ids, words = lookup.input[1], lookup.output[0]
        names = [f"{part}_{number}" for part in ("row_integers", "row_floats", "row_scales")]
        nodes = [
            helper.make_node("Gather", [rows, ids], names[:1]),
            helper.make_node("Cast", names[:1], names[1:2], to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"row_scale_{number}", ids], names[2:]),
            helper.make_node("Mul", names[1:], [words]),
        ]
        place = list(graph.node).index(lookup)
        kept = [*graph.node[:place], *nodes, *graph.node[place + 1 :]]
        del graph.node[:]
        graph.node.extend(kept)


def _store(graphs: Mapping[str, onnx.ModelProto], output: Path) -> None:
    """Write all large tensors to one safetensors file, and the graphs that refer to it."""
    arrays = {
        f"{graph}:{tensor.name}": numpy_helper.to_array(tensor)
        for graph, proto in graphs.items()
        for tensor in proto.graph.initializer
    }
    large = {name: array for name, array in arrays.items() if array.nbytes >= _INLINE_BYTES}
    weights = output / WEIGHTS_FILE
    with writing(weights) as temporary:
        temporary.write_bytes(safetensors.numpy.save(large, metadata={"format": "onnx"}))
    index = read_index(weights)
    for graph, proto in graphs.items():
        for tensor in proto.graph.initializer:
            entry = index.get(f"{graph}:{tensor.name}")
            if entry is not None:
                tensor.CopyFrom(external_tensor(tensor.name, tensor.data_type, entry))
        _forget_domains(proto)
        del proto.metadata_props[:]
        proto.metadata_props.add(key=WEIGHTS_DIGEST, value=header_digest(weights))
        proto.metadata_props.add(key=PRECISION, value=INT8)
        with writing(output / graph) as temporary:
            temporary.write_bytes(proto.SerializeToString())


def _forget_domains(proto: onnx.ModelProto) -> None:
    """Drop operator sets that no node uses."""
    used = {node.domain for node in proto.graph.node}
    kept = [item for item in proto.opset_import if item.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    del proto.graph.value_info[:]


@contextmanager
def _quiet_quantiser() -> Iterator[None]:
    """Keep the quantiser's advice off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
