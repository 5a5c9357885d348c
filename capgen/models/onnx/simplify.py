"""Makes traced graphs small, so that ONNX Runtime loads them sooner.

The tracer writes shapes as chains of nodes and batch normalisation as arithmetic. ONNX Runtime
would fold both at every load, which took half of the load of an EfficientNet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Values = dict[str, NDArray[Any]]
# Larger results stay the nodes that they come from, so that the file stays small.
_MOST_BYTES = 65_536


def simplify(proto: onnx.ModelProto) -> None:
    """Fold what follows from constants and the shapes of weights, and name batch normalisations.

    Weights outside the file are not read, and what is computed from them stays as it is.
    """
    graph = proto.graph
    shapes = _shapes_of_weights(graph)
    values = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_location != TensorProto.EXTERNAL
    }
    nodes = [node for node in graph.node if not _fold(node, proto, values, shapes)]
    nodes = _with_normalisations(nodes, values, {output.name for output in graph.output})
    _forget_zero_biases(nodes, values)
    used = {name for node in nodes for name in node.input} | {each.name for each in graph.output}
    weights = [t for t in graph.initializer if t.data_location == TensorProto.EXTERNAL]
    folded = [numpy_helper.from_array(values[name], name) for name in values if name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*(t for t in weights if t.name in used), *folded])


def _shapes_of_weights(graph: onnx.GraphProto) -> dict[str, list[int]]:
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in shapes:
            shapes[node.output[0]] = shapes[node.input[0]]
    return shapes


def _fold(
    node: onnx.NodeProto, proto: onnx.ModelProto, values: Values, shapes: Mapping[str, list[int]]
) -> bool:
    """Add a node's results to `values` if they are constant; return whether they are."""
    if node.op_type == "Shape" and node.input[0] in shapes:
        place = {each.name: each.i for each in node.attribute}
        shape = shapes[node.input[0]][place.get("start", 0) : place.get("end")]
        values[node.output[0]] = np.array(shape, dtype=np.int64)
        return True
    inner = any(each.type == onnx.AttributeProto.GRAPH for each in node.attribute)
    if inner or "Random" in node.op_type or not all(n in values or not n for n in node.input):
        return False
    given = {name: values[name] for name in node.input if name}
    inputs = [_described(name, value) for name, value in given.items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    alone = helper.make_model(
        helper.make_graph([node], "constant", inputs, outputs), opset_imports=proto.opset_import
    )
    found = ReferenceEvaluator(alone).run(None, given)
    results = {info.name: np.asarray(value) for info, value in zip(outputs, found, strict=True)}
    if sum(value.nbytes for value in results.values()) > _MOST_BYTES:
        return False
    values |= results
    return True


def _described(name: str, value: NDArray[Any]) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, value.shape)


def _with_normalisations(
    nodes: list[onnx.NodeProto], values: Values, outputs: set[str]
) -> list[onnx.NodeProto]:
    """Return nodes with BatchNormalization in place of x · scale + shift after convolutions.

    Here scale = weight / sqrt(variance + epsilon) and shift = bias - mean · scale.
    """
    makers = {name: node for node in nodes for name in node.output}
    uses = Counter(name for node in nodes for name in node.input)
    uses.update(outputs)
    replaced = {}
    for node in nodes:
        parts = _normalisation(node, makers, values)
        if parts is not None and uses[node.input[0]] == 1:
            replaced[node.output[0]] = helper.make_node(
                "BatchNormalization", parts[:-1], node.output[:1], epsilon=float(parts[-1])
            )
    nodes = [replaced.get(node.output[0], node) for node in nodes]
    return _needed(nodes, outputs)


def _normalisation(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], values: Values
) -> tuple[Any, ...] | None:
    """Return x, weight, bias, mean, variance and epsilon of an addition, or None."""

    def inputs(name: str, *kinds: str) -> list[str]:
        """Follow first inputs through these kinds of nodes; return the last one's inputs."""
        for kind in kinds:
            maker = makers.get(name)
            if maker is None or maker.op_type != kind:
                raise LookupError
            found = list(maker.input)
            name = found[0]
        return found

    try:
        if node.op_type != "Add":
            return None
        image, scale = inputs(node.input[0], "Mul")
        inputs(image, "Conv")
        bias, moved = inputs(node.input[1], "Reshape", "Sub")
        mean, same = inputs(moved, "Mul")
        weight, inverse = inputs(scale, "Reshape", "Mul")
        if same != inputs(scale, "Reshape")[0]:
            return None
        variance, epsilon = inputs(inverse, "Reciprocal", "Sqrt", "Add")
    except LookupError:
        return None
    number = values.get(epsilon)
    if number is None or number.size != 1:
        return None
    return image, weight, bias, mean, variance, number.item()


def _needed(nodes: Iterable[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """Return the nodes that outputs depend on."""
    wanted = set(outputs)
    kept = []
    for node in reversed(list(nodes)):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _forget_zero_biases(nodes: Iterable[onnx.NodeProto], values: Values) -> None:
    """Remove biases of convolutions that are zero: the tracer adds them."""
    for node in nodes:
        bias = node.input[2] if node.op_type == "Conv" and len(node.input) > 2 else ""
        if bias in values and not values[bias].any():
            del node.input[2:]
