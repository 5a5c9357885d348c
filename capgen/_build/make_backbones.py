"""Write the graphs of EfficientNet-Lite backbones, without weights, into `capgen/models/onnx`.

    python -m capgen._build.make_backbones

With them the features of a frozen encoder are computed by ONNX Runtime without the exporter
(`capgen.models.onnx.backbone`). A test compares the files with what this writes.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from capgen.models.efficientnet import HEAD_CHANNELS, VARIANTS, Backbone, SameConv
from capgen.models.onnx.backbone import INPUT, OUTPUT, convolutions, graph_file
from capgen.models.onnx.decoder_graph import OPSET
from capgen.paths import writing


def main() -> None:
    for variant in VARIANTS:
        with writing(graph_file(variant)) as temporary:
            temporary.write_bytes(backbone_graph(variant))


def backbone_graph(variant: str) -> bytes:
    """Return the graph of a variant, for inputs of any size."""
    backbone = Backbone(variant)
    graph = _Graph(backbone)
    hidden = graph.convolve(INPUT, "_conv_stem", clips=True)
    for index, block in enumerate(backbone._blocks):
        prefix, before = f"_blocks.{index}", hidden
        if block.expands:
            hidden = graph.convolve(hidden, f"{prefix}._expand_conv", clips=True)
        hidden = graph.convolve(hidden, f"{prefix}._depthwise_conv", clips=True)
        hidden = graph.convolve(hidden, f"{prefix}._project_conv", clips=False)
        if block.residual:
            hidden = graph.add("Add", [before, hidden], f"{prefix}.sum")
    hidden = graph.convolve(hidden, "_conv_head", clips=True)
    graph.add("Identity", [hidden], OUTPUT)
    return graph.model().SerializeToString(deterministic=True)


class _Graph:
    """Collects the nodes of a backbone's graph, and the weights that they name."""

    def __init__(self, backbone: Backbone) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers = [
            helper.make_tensor(name, TensorProto.FLOAT, [], [value])
            for name, value in (("lowest", 0.0), ("highest", 6.0))  # the ends of ReLU6
        ]
        self.convolutions = {name: convolution for name, convolution, _ in convolutions(backbone)}

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def convolve(self, hidden: str, name: str, *, clips: bool) -> str:
        convolution = self.convolutions[name]
        inputs = [hidden, *self._weights(name, convolution)]
        # What the padding is depends on the size: the same as TensorFlow's.
        output = self.add(
            "Conv",
            inputs,
            name,
            auto_pad="SAME_UPPER",
            group=convolution.groups,
            kernel_shape=list(convolution.kernel_size),
            strides=list(convolution.stride),
        )
        if clips:
            output = self.add("Clip", [output, "lowest", "highest"], f"{name}.relu6")
        return output

    def _weights(self, name: str, convolution: SameConv) -> list[str]:
        """Name the weights of a convolution, which a session gets from elsewhere."""
        shapes = {
            f"{name}.weight": convolution.weight.shape,
            f"{name}.bias": convolution.weight.shape[:1],
        }
        for weight, shape in shapes.items():
            tensor = TensorProto(name=weight, data_type=TensorProto.FLOAT, dims=list(shape))
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="the module's")
            self.initializers.append(tensor)
        return list(shapes)

    def model(self) -> onnx.ModelProto:
        real = TensorProto.FLOAT
        pixels = helper.make_tensor_value_info(INPUT, real, ["B", 3, "H", "W"])
        features = helper.make_tensor_value_info(OUTPUT, real, ["B", HEAD_CHANNELS, "R", "C"])
        body = helper.make_graph(
            self.nodes, "efficientnet_lite", [pixels], [features], self.initializers
        )
        return helper.make_model(
            body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10
        )


if __name__ == "__main__":
    main()
