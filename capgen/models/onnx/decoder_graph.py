"""One decoding step of GPT-2 with cross-attention as an ONNX graph, built node by node.

    input_ids (B, K), position (1), beam_index (B·K), candidates (1),
    cross_key_L (B, H, D, P), cross_value_L (B, H, P, D),
    past_key_L (M, H, T, D), past_value_L (M, H, T, D)
    → top_log_probs (B·K, candidates), top_ids (B·K, candidates), logits (B·K, V),
      present_key_L (B·K, H, T+1, D), present_value_L (B·K, H, T+1, D),
      cross_attention_L (B, H, K, P)

B images, K beams per image, P grid cells, H heads of width D, T tokens so far, V vocabulary,
L the layer. Cross keys and values are computed once per image and shared by its beams.
`beam_index` is the row of the past that each beam continues, so that reordering costs nothing
extra. `logits` and `cross_attention_L` are computed only if they are asked for.

Built by hand rather than traced: the graph does not depend on the version of torch, and needs no
transposes. A parity test compares it with `GPT2LMHeadModel`. The initializers have the names of
the model's weights; `capgen.models.onnx.export` links them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from capgen.errors import ModelError

OPSET = 20
ACTIVATIONS = {"gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu": "none"}
PREFIX = "decoder.transformer"


def cross_names(layers: int) -> list[str]:
    """Names of the cross-attention keys and values, in order."""
    return _key_value_names("cross", layers)


def _key_value_names(stem: str, layers: int) -> list[str]:
    return [f"{stem}_{part}_{layer}" for layer in range(layers) for part in ("key", "value")]


class GraphBuilder:
    """Collects nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.weights: list[str] = []

    def add(self, op: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        output = name or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def split(self, value: str, parts: int, axis: int) -> list[str]:
        """Split a value into equal parts along an axis."""
        outputs = [f"split_{len(self.nodes)}_{part}" for part in range(parts)]
        node = helper.make_node("Split", [value], outputs, axis=axis, num_outputs=parts)
        self.nodes.append(node)
        return outputs

    def constant(self, value: Any, dtype: type) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def weight(self, name: str) -> str:
        """Refer to a weight by its name in the safetensors file."""
        if name not in self.weights:
            self.weights.append(name)
        return name


def build_decoder(config: Mapping[str, Any]) -> tuple[onnx.ModelProto, list[str]]:
    """Build the graph of a decoder from its configuration (`decoder` in `config.json`).

    Returns the model without its weights, and their names. Raises ModelError if the graph cannot
    represent the decoder.
    """
    _check(config)
    graph = GraphBuilder()
    layers, heads = config["n_layer"], config["n_head"]
    width = config["n_embd"] // heads
    flat = graph.constant([-1], np.int64)
    ids = graph.add("Reshape", ["input_ids", flat])
    words = graph.add("Gather", [graph.weight(f"{PREFIX}.wte.weight"), ids])
    place = graph.add("Gather", [graph.weight(f"{PREFIX}.wpe.weight"), "position"])
    hidden = graph.add("Add", [words, place])
    shapes = _Shapes(graph, heads, width)
    for layer in range(layers):
        block = _Block(graph, shapes, config, layer)
        hidden = graph.add("Add", [hidden, block.self_attention(hidden)])
        hidden = graph.add("Add", [hidden, block.cross_attention(hidden)])
        hidden = graph.add("Add", [hidden, block.mlp(hidden)])
    epsilon = config["layer_norm_epsilon"]
    norm = [graph.weight(f"{PREFIX}.ln_f.{part}") for part in ("weight", "bias")]
    final = graph.add("LayerNormalization", [hidden, *norm], axis=-1, epsilon=epsilon)
    tied = config.get("tie_word_embeddings", True)
    table = graph.weight(f"{PREFIX}.wte.weight" if tied else "decoder.lm_head.weight")
    graph.add("Gemm", [final, table], "logits", transB=1)
    log_probs = graph.add("LogSoftmax", ["logits"], axis=-1)
    best = helper.make_node("TopK", [log_probs, "candidates"], ["top_log_probs", "top_ids"])
    graph.nodes.append(best)
    return _model(graph, layers, heads, width, config["vocab_size"]), graph.weights


class _Shapes:
    """Reshape targets that every layer shares."""

    def __init__(self, graph: GraphBuilder, heads: int, width: int) -> None:
        shape = graph.add("Shape", ["input_ids"], start=0, end=1)
        rest = graph.constant([-1, heads, width], np.int64)
        self.by_image = graph.add("Concat", [shape, rest], axis=0)  # (B, K, H, D)
        self.column = graph.constant([-1, heads, width, 1], np.int64)
        self.row = graph.constant([-1, heads, 1, width], np.int64)
        self.flat = graph.constant([-1, heads * width], np.int64)
        self.weights_row = graph.constant([0, heads, 1, -1], np.int64)


class _Block:
    """One layer. Hidden states are (N, E) with N = B·K rows."""

    def __init__(
        self, graph: GraphBuilder, shapes: _Shapes, config: Mapping[str, Any], layer: int
    ) -> None:
        self.graph = graph
        self.shapes = shapes
        self.layer = layer
        self.prefix = f"{PREFIX}.h.{layer}"
        self.epsilon = config["layer_norm_epsilon"]
        self.approximate = ACTIVATIONS[config["activation_function"]]
        scale = 1.0
        if config.get("scale_attn_weights", True):
            scale = (config["n_embd"] // config["n_head"]) ** -0.5
        if config.get("scale_attn_by_inverse_layer_idx", False):
            scale /= layer + 1
        self.scale = graph.constant(scale, np.float32)

    def self_attention(self, hidden: str) -> str:
        graph, layer = self.graph, self.layer
        joint = self._linear(self._norm(hidden, "ln_1"), "attn.c_attn")
        query, key, value = graph.split(joint, 3, axis=1)
        key = self._extend("key", key)
        value = self._extend("value", value)
        query = graph.add("Mul", [query, self.scale])
        query = graph.add("Reshape", [query, self.shapes.column])  # (N, H, D, 1)
        scores = graph.add("MatMul", [key, query])  # (N, H, T+1, 1)
        weights = graph.add("Softmax", [scores], axis=2)
        weights = graph.add("Reshape", [weights, self.shapes.weights_row])  # (N, H, 1, T+1)
        mixed = graph.add("MatMul", [weights, value], f"self_mixed_{layer}")
        return self._linear(graph.add("Reshape", [mixed, self.shapes.flat]), "attn.c_proj")

    def _extend(self, part: str, new: str) -> str:
        graph = self.graph
        row = graph.add("Reshape", [new, self.shapes.row])  # (N, H, 1, D)
        past = graph.add("Gather", [f"past_{part}_{self.layer}", "beam_index"], axis=0)
        return graph.add("Concat", [past, row], f"present_{part}_{self.layer}", axis=2)

    def cross_attention(self, hidden: str) -> str:
        graph, layer = self.graph, self.layer
        query = self._linear(self._norm(hidden, "ln_cross_attn"), "crossattention.q_attn")
        query = graph.add("Mul", [query, self.scale])
        query = graph.add("Reshape", [query, self.shapes.by_image])
        query = graph.add("Transpose", [query], perm=[0, 2, 1, 3])  # (B, H, K, D)
        scores = graph.add("MatMul", [query, f"cross_key_{layer}"])
        weights = graph.add("Softmax", [scores], f"cross_attention_{layer}", axis=-1)
        mixed = graph.add("MatMul", [weights, f"cross_value_{layer}"])
        mixed = graph.add("Transpose", [mixed], perm=[0, 2, 1, 3])
        mixed = graph.add("Reshape", [mixed, self.shapes.flat])
        return self._linear(mixed, "crossattention.c_proj")

    def mlp(self, hidden: str) -> str:
        inner = self._linear(self._norm(hidden, "ln_2"), "mlp.c_fc")
        inner = self.graph.add("Gelu", [inner], approximate=self.approximate)
        return self._linear(inner, "mlp.c_proj")

    def _norm(self, hidden: str, name: str) -> str:
        parts = [self.graph.weight(f"{self.prefix}.{name}.{part}") for part in ("weight", "bias")]
        return self.graph.add("LayerNormalization", [hidden, *parts], axis=-1, epsilon=self.epsilon)

    def _linear(self, value: str, name: str) -> str:
        # GPT-2 stores its linear layers as (inputs, outputs), ready for Gemm.
        parts = [self.graph.weight(f"{self.prefix}.{name}.{part}") for part in ("weight", "bias")]
        return self.graph.add("Gemm", [value, *parts])


def _check(config: Mapping[str, Any]) -> None:
    if config.get("model_type") != "gpt2":
        raise ModelError(f"ONNX export needs a GPT-2 decoder, not '{config.get('model_type')}'")
    if config.get("activation_function") not in ACTIVATIONS:
        raise ModelError(f"ONNX export does not support '{config.get('activation_function')}'")


def _model(
    graph: GraphBuilder, layers: int, heads: int, width: int, vocabulary: int
) -> onnx.ModelProto:
    def value(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, list(shape))

    whole, real = TensorProto.INT64, TensorProto.FLOAT
    inputs = [
        value("input_ids", whole, "B", "K"),
        value("position", whole, 1),
        value("beam_index", whole, "N"),
        value("candidates", whole, 1),
    ]
    outputs = [
        value("top_log_probs", real, "N", "candidates"),
        value("top_ids", whole, "N", "candidates"),
        value("logits", real, "N", vocabulary),
    ]
    for name in cross_names(layers):
        shape = (width, "P") if "key" in name else ("P", width)
        inputs.append(value(name, real, "B", heads, *shape))
    for name in _key_value_names("past", layers):
        inputs.append(value(name, real, "M", heads, "T", width))
    for name in _key_value_names("present", layers):
        outputs.append(value(name, real, "N", heads, "T_next", width))
    for layer in range(layers):
        outputs.append(value(f"cross_attention_{layer}", real, "B", heads, "K", "P"))
    body = helper.make_graph(graph.nodes, "gpt2_step", inputs, outputs, graph.constants)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
