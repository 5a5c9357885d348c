"""Traced graphs are made small, and compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from capgen.models.folder import ENCODER_GRAPH, WEIGHTS_FILE
from capgen.models.onnx.simplify import simplify
from capgen.models.resolve import resolve_model

WEIGHTS = ("kernel", "gamma", "beta", "mean", "variance")
RANDOM = np.random.default_rng(0)
VALUES = {
    name: RANDOM.uniform(0.5, 1.5, (4, 3, 1, 1) if name == "kernel" else (4,)).astype(np.float32)
    for name in WEIGHTS
}


def traced(*, scale_of_shift: str = "scale", epsilon: str = "tiny") -> onnx.ModelProto:
    """Return a convolution and its normalisation as the tracer writes them."""
    node = helper.make_node
    nodes = [
        node("Shape", ["kernel"], ["channels"], start=0, end=1),
        node("Constant", [], ["zero"], value_float=0.0),
        node("Constant", [], ["tiny"], value_float=0.25),
        node("Constant", [], ["columns"], value_ints=[-1, 1, 1]),
        node("Expand", ["zero", "channels"], ["no_bias"]),
        node("Conv", ["image", "kernel", "no_bias"], ["features"]),
        node("Add", ["variance", epsilon], ["safe"]),
        node("Sqrt", ["safe"], ["deviation"]),
        node("Reciprocal", ["deviation"], ["inverse"]),
        node("Mul", ["gamma", "inverse"], ["scale"]),
        node("Mul", ["mean", scale_of_shift], ["moved"]),
        node("Sub", ["beta", "moved"], ["shift"]),
        node("Reshape", ["scale", "columns"], ["scales"]),
        node("Reshape", ["shift", "columns"], ["shifts"]),
        node("Mul", ["features", "scales"], ["scaled"]),
        node("Add", ["scaled", "shifts"], ["normal"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 2, 2])
    normal = helper.make_tensor_value_info("normal", TensorProto.FLOAT, ["n", 4, 2, 2])
    graph = helper.make_graph(nodes, "traced", [image], [normal])
    for name, value in VALUES.items():
        graph.initializer.append(
            TensorProto(name=name, data_type=TensorProto.FLOAT, dims=value.shape)
        )
        graph.initializer[-1].data_location = TensorProto.EXTERNAL
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def computed(proto: onnx.ModelProto) -> np.ndarray:
    """Return a graph's output for one image, with the weights in it."""
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    for tensor in proto.graph.initializer:
        if tensor.name in VALUES:
            tensor.CopyFrom(numpy_helper.from_array(VALUES[tensor.name], tensor.name))
    image = np.random.default_rng(1).normal(size=(2, 3, 2, 2)).astype(np.float32)
    return ReferenceEvaluator(proto).run(None, {"image": image})[0]


def kinds(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def test_a_normalisation_is_one_node() -> None:
    proto = traced()
    before = computed(proto)
    simplify(proto)
    assert kinds(proto) == ["Conv", "BatchNormalization"]
    assert [tensor.name for tensor in proto.graph.initializer] == list(WEIGHTS)
    assert len(proto.graph.node[0].input) == 2  # its bias was zero
    np.testing.assert_allclose(computed(proto), before, rtol=1e-5)


@pytest.mark.parametrize("other", [{"scale_of_shift": "gamma"}, {"epsilon": "gamma"}], ids=str)
def test_other_arithmetic_stays(other: dict[str, str]) -> None:
    proto = traced(**other)
    before = computed(proto)
    simplify(proto)
    assert "BatchNormalization" not in kinds(proto)
    assert not {"Constant", "Shape", "Expand"} & set(kinds(proto))
    np.testing.assert_allclose(computed(proto), before, rtol=1e-6)


def test_an_output_within_stays() -> None:
    """What the arithmetic computes on the way may be asked for, too."""
    proto = traced()
    proto.graph.output.append(
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 4, 2, 2])
    )
    simplify(proto)
    made = {name for node in proto.graph.node for name in node.output}
    assert {"features", "normal"} <= made
    computed(proto)


def test_the_bundled_encoder_is_simplified() -> None:
    folder: Path = resolve_model(None).path
    proto = onnx.load(folder / ENCODER_GRAPH, load_external_data=False)
    before = len(proto.graph.node)
    simplify(proto)
    assert len(proto.graph.node) == before
    assert "BatchNormalization" in kinds(proto)
    assert (folder / WEIGHTS_FILE).is_file()
