"""Export of a captioner to ONNX: graphs without weights beside the safetensors file.

The graphs refer to the tensors of `model.safetensors` as external data, so the weights exist
once and both runtimes compute with the same numbers. Half-precision weights are cast to float32
inside the graph, which ONNX Runtime does once at loading.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from safetensors import safe_open
from torch import Tensor, nn
from transformers import VisionEncoderDecoderModel

from capgen.errors import ModelError
from capgen.models.folder import CONCEPT_LOGITS, DECODER_GRAPH, ENCODER_GRAPH, WEIGHTS_FILE
from capgen.models.onnx.decoder_graph import OPSET, build_decoder, cross_names
from capgen.models.onnx.simplify import simplify
from capgen.models.safetensors_index import WEIGHTS_DIGEST, StoredTensor, header_digest, read_index
from capgen.paths import writing

ELEMENT_TYPES = {
    "F32": TensorProto.FLOAT,
    "F16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "U8": TensorProto.UINT8,
}


class EncoderGraph(nn.Module):
    """Maps pixels (B, 3, S, S) to every decoder layer's cross-attention keys and values.

    With a concept head, its logits (B, C) come last.
    """

    def __init__(self, model: VisionEncoderDecoderModel) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.decoder = model.decoder
        if hasattr(model, "enc_to_dec_proj"):
            self.enc_to_dec_proj = model.enc_to_dec_proj

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        encoded = self.encoder(pixel_values=pixel_values)
        states = encoded.last_hidden_state  # (B, P, E)
        if hasattr(self, "enc_to_dec_proj"):
            states = self.enc_to_dec_proj(states)
        outputs: list[Tensor] = []
        for block in self.decoder.transformer.h:
            attention = block.crossattention
            joint = attention.c_attn(states)  # (B, P, 2E)
            joint = joint.unflatten(-1, (2, attention.num_heads, -1))
            key = joint.select(2, 0).permute(0, 2, 3, 1)
            value = joint.select(2, 1).permute(0, 2, 1, 3)
            outputs += [key, value]  # (B, H, D, P), (B, H, P, D)
        if has_concept_head(self.encoder):
            outputs.append(encoded.concept_logits)
        return tuple(outputs)


def has_concept_head(encoder: nn.Module) -> bool:
    """Whether an encoder gives concept logits beside its states."""
    return bool(getattr(encoder.config, "num_concepts", 0))


def export_onnx(
    folder: Path, model: VisionEncoderDecoderModel, *, image_size: tuple[int, int]
) -> None:
    """Write `onnx/encoder.onnx` and `onnx/decoder.onnx` into a saved model folder.

    Args:
        folder: The model folder; its `model.safetensors` holds the weights of `model`.
        model: The captioner with a GPT-2 decoder.
        image_size: Height and width of the encoder's input in pixels.

    Raises:
        ModelError: The decoder is of another kind, or the weights are in several files.
    """
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        raise ModelError(f"{folder} has no single {WEIGHTS_FILE}, which the graphs need")
    index = _with_aliases(read_index(weights), weights, model)
    decoder, names = build_decoder(model.config.decoder.to_dict())
    for name in names:
        decoder.graph.initializer.append(_placeholder(name, index))
    modes = [(module, module.training) for module in model.modules()]
    try:
        names = cross_names(len(model.decoder.transformer.h))
        if has_concept_head(model.encoder):
            names.append(CONCEPT_LOGITS)
        encoder = trace(EncoderGraph(model).eval(), image_size, names)
    finally:
        for module, training in modes:
            module.training = training
    for graph_file, proto in ((ENCODER_GRAPH, encoder), (DECODER_GRAPH, decoder)):
        link_weights(proto, index)
        simplify(proto)
        proto.metadata_props.add(key=WEIGHTS_DIGEST, value=header_digest(weights))
        with writing(folder / graph_file) as temporary:
            temporary.write_bytes(proto.SerializeToString())


def _with_aliases(
    index: dict[str, StoredTensor], weights: Path, model: VisionEncoderDecoderModel
) -> dict[str, StoredTensor]:
    """Add the model's names of tensors that transformers stores under older names.

    They are matched by content, rounded to the stored type.
    """
    state = model.state_dict()
    renamed = [name for name in state if name not in index]
    if not renamed:
        return index
    with safe_open(weights, "pt") as file:
        stored = {name: file.get_tensor(name) for name in index if name not in state}
    by_content = {_fingerprint(tensor): index[name] for name, tensor in stored.items()}
    aliases = {}
    for name in renamed:
        for dtype in {tensor.dtype for tensor in stored.values()}:
            entry = by_content.get(_fingerprint(state[name].to(dtype)))
            if entry is not None:
                aliases[name] = entry
    return index | aliases


def _fingerprint(tensor: Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return tensor.dtype, tensor.shape, hashlib.sha256(content.tobytes()).digest()


def link_weights(proto: onnx.ModelProto, index: dict[str, StoredTensor]) -> None:
    """Replace initializers named in `index` by references into the safetensors file.

    A Cast turns weights that are stored in another type into the graph's, float32.
    """
    kept: list[onnx.TensorProto] = []
    casts: list[onnx.NodeProto] = []
    for tensor in proto.graph.initializer:
        entry = index.get(tensor.name)
        if entry is None:
            kept.append(tensor)
            continue
        element = ELEMENT_TYPES[entry.dtype]
        stored = tensor.name
        if element != tensor.data_type:
            stored = f"{tensor.name}.stored"
            casts.append(helper.make_node("Cast", [stored], [tensor.name], to=tensor.data_type))
        kept.append(external_tensor(stored, element, entry))
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    _forget_details(proto)


def _settle_types(proto: onnx.ModelProto) -> None:
    """Turn CastLike into Cast if the type is known.

    The exporter casts constants to the type of an activation, which keeps ONNX Runtime from
    folding them into the weights.
    """
    typed = (*proto.graph.value_info, *proto.graph.input, *proto.graph.output)
    kinds = {value.name: value.type.tensor_type.elem_type for value in typed}
    for node in proto.graph.node:
        kind = kinds.get(node.input[1]) if node.op_type == "CastLike" else None
        if kind:
            node.op_type = "Cast"
            del node.input[1:]
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("to", kind))


def external_tensor(name: str, element: int, entry: StoredTensor) -> onnx.TensorProto:
    """Return an initializer whose data are in the safetensors file."""
    tensor = onnx.TensorProto(name=name, data_type=element, dims=entry.shape)
    tensor.data_location = TensorProto.EXTERNAL
    place = {"location": WEIGHTS_FILE, "offset": entry.offset, "length": entry.length}
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _placeholder(name: str, index: dict[str, StoredTensor]) -> onnx.TensorProto:
    if name not in index:
        raise ModelError(f"The weights lack '{name}'")
    return onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=index[name].shape)


def _forget_details(proto: onnx.ModelProto) -> None:
    """Drop the exporter's debugging notes: source lines, paths of this machine."""
    graph = proto.graph
    for node in graph.node:
        node.doc_string = ""
    del graph.value_info[:]
    for item in (proto, graph, *graph.node, *graph.input, *graph.output):
        del item.metadata_props[:]


def trace(
    graph: nn.Module, image_size: tuple[int, int], output_names: list[str]
) -> onnx.ModelProto:
    """Turn a module over `pixel_values` (B, 3, H, W) into an ONNX graph, weights included."""
    pixels = torch.zeros(2, 3, *image_size)
    with warnings.catch_warnings(), _quiet_exporter():
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                graph,
                (pixels,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                input_names=["pixel_values"],
                output_names=output_names,
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().split("\n")[0]
            raise ModelError(
                f"torch cannot export this encoder to ONNX: {reason}",
                hint="The model still runs with --runtime torch.",
            ) from error
    if program is None:
        raise ModelError("torch could not export the encoder to ONNX")
    proto: onnx.ModelProto = program.model_proto
    _settle_types(proto)
    return proto


@contextlib.contextmanager
def _quiet_exporter() -> Any:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
