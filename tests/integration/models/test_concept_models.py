"""Model folders with a concept head: saved, loaded, fine-tuned, exported, shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from transformers import VisionEncoderDecoderModel

from capgen import Captioner
from capgen.cli.main import main
from capgen.models.checkpoint import load_captioning, save_captioning
from capgen.models.concept_table import ConceptTable, read_concepts, sigmoid
from capgen.models.efficientnet import EfficientNetLiteConfig, EfficientNetLiteModel
from capgen.models.folder import CONCEPTS_FILE, ENCODER_GRAPH, ModelFolder
from capgen.models.onnx.int8 import concept_nodes, float_graph
from capgen.models.provenance import Provenance
from capgen.models.safetensors_index import read_index
from capgen.paths import bundled_model_dir
from capgen.registry.entries import describe
from capgen.registry.export import CalibrationOptions, export_model
from tests.fakes import draw_image
from tests.tiny_concepts import CONCEPTS, save_tiny_concepts, tiny_concepts

MEMBERSHIP = "encoder.concept_head.membership"


@pytest.fixture(scope="module")
def folder(concepts_model: Path) -> Path:
    return concepts_model


def assert_same_table(first: ConceptTable | None, second: ConceptTable | None) -> None:
    assert first is not None and second is not None
    assert (first.names, first.tokens) == (second.names, second.tokens)
    assert first.threshold == second.threshold
    for name in ("strength", "margin", "prior"):
        assert (getattr(first, name) == getattr(second, name)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, None])
def test_it_is_saved_and_loaded_in_any_type(dtype: torch.dtype | None, tmp_path: Path) -> None:
    made = tiny_concepts()
    made.model.encoder.concept_head.membership[0, 0] = 255
    save_captioning(tmp_path / "model", made, Provenance(), dtype=dtype)
    index = read_index(tmp_path / "model" / "model.safetensors")
    assert index[MEMBERSHIP].dtype == "U8"
    assert index["encoder.concept_head.slope"].dtype == {
        torch.float16: "F16", torch.bfloat16: "BF16", None: "F32"
    }[dtype]  # fmt: skip
    again = load_captioning(ModelFolder(tmp_path / "model", "again"))
    head, same = made.model.encoder.concept_head, again.model.encoder.concept_head
    assert same.membership.dtype == torch.uint8
    assert torch.equal(same.membership, head.membership)
    assert_same_table(again.concepts, made.concepts)
    assert set(ModelFolder(tmp_path / "model", "").provenance.files) == {
        *("model.safetensors", "tokenizer.json", CONCEPTS_FILE)
    }


def test_the_head_computes_what_its_definition_says() -> None:
    """By hand, in float64: classes → softmax → members → log, and the low-rank map."""
    encoder = tiny_concepts().model.encoder
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        output = encoder(pixel_values=pixels)
        pooled = encoder.backbone(pixels).mean((2, 3)).double().numpy()
    weights = {k: v.double().numpy() for k, v in encoder.concept_head.state_dict().items()}
    classes = pooled @ weights["classes.weight"].T + weights["classes.bias"]
    shares = np.exp(classes - classes.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    centred = pooled - pooled.mean(axis=1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    learned = (normal * weights["norm.weight"] + weights["norm.bias"]) @ weights["down.weight"].T
    expected = learned @ weights["up.weight"].T + weights["up.bias"]
    expected += weights["slope"] * np.log(shares @ weights["membership"] + 1e-3)
    np.testing.assert_allclose(output.concept_logits.numpy(), expected, atol=1e-4)
    assert output[0] is output.last_hidden_state


def test_without_a_head_nothing_is_new() -> None:
    config = EfficientNetLiteConfig(variant="lite0", image_size=64, hidden_size=32)
    encoder = EfficientNetLiteModel(config).eval()
    output = encoder(torch.zeros(1, 3, 64, 64))
    assert list(output.keys()) == ["last_hidden_state"]
    assert not [name for name in encoder.state_dict() if "concept" in name]
    bundled = ModelFolder(bundled_model_dir(), "mini")
    assert "num_concepts" not in bundled.config["encoder"] or read_concepts(bundled)
    graph = onnx.load(bundled.path / ENCODER_GRAPH, load_external_data=False)
    named = {output.name for output in graph.graph.output}
    assert ("concept_logits" in named) is bool(bundled.config["encoder"].get("num_concepts"))


def test_new_weights_are_set() -> None:
    """transformers fills what a file lacks: nothing stays as it was in memory."""
    config = EfficientNetLiteConfig(
        variant="lite0", image_size=64, hidden_size=32, num_concepts=3, num_classes=5
    )
    head = EfficientNetLiteModel(config).concept_head
    assert head.membership.tolist() == [[0] * 3] * 5
    assert head.slope.tolist() == [1.0] * 3
    assert not head.up.bias.any() and float(head.down.weight.detach().std()) == pytest.approx(
        0.02, rel=0.1
    )


def test_plain_transformers_ignores_the_head(folder: Path) -> None:
    model = VisionEncoderDecoderModel.from_pretrained(folder)
    captioner = Captioner.from_pretrained(folder, runtime="torch", device="cpu")
    images = [draw_image(seed, (64, 64)) for seed in range(3)]
    pixels = np.stack([captioner.runtime.prepare(image, "").pixels for image in images])
    with torch.no_grad():
        rows = model.generate(torch.from_numpy(pixels)).tolist()
    plain = captioner.caption(images, concept_bonus=0, repeat_nouns=True, retry=False)
    assert [captioner.runtime.decode(row).strip() for row in rows] == [one.text for one in plain]


def test_the_table_is_part_of_what_a_model_is(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    assert ModelFolder(other, "a").fingerprint == ModelFolder(folder, "b").fingerprint
    record = json.loads((other / CONCEPTS_FILE).read_text())
    (other / CONCEPTS_FILE).write_text(json.dumps({**record, "threshold": 0.5}))
    assert ModelFolder(other, "a").fingerprint != ModelFolder(folder, "b").fingerprint
    assert ModelFolder(other, "a").file_digests() != ModelFolder(folder, "b").file_digests()


def test_show_tells_how_many(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["models", "show", str(folder)]) == 0
    assert f"concepts {len(CONCEPTS)}" in " ".join(capsys.readouterr().out.split())
    assert main(["models", "show", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["concepts"] == len(CONCEPTS)
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    (broken / CONCEPTS_FILE).write_text("{")
    entry = describe(ModelFolder(broken, "broken"), "folder")
    assert "concepts.json" in entry.problem and entry.concepts == 0


def test_an_export_keeps_them(folder: Path, tmp_path: Path) -> None:
    plain = Path(shutil.copytree(folder, tmp_path / "plain"))
    shutil.rmtree(plain / "onnx")
    made = export_model(str(plain), output=tmp_path / "exported")
    images = [draw_image(seed, (64, 64)) for seed in range(3)]
    first, second = (
        Captioner.from_pretrained(path, runtime="onnx").caption(images, beams=3)
        for path in (folder, made.path)
    )
    assert [one.text for one in first] == [one.text for one in second]
    assert [one.concepts for one in first] == [one.concepts for one in second]
    assert CONCEPTS_FILE in ModelFolder(made.path, "x").provenance.files


def test_int8_keeps_the_head_in_float(tmp_path: Path) -> None:
    made = tiny_concepts()
    made.model.half().float()
    source = save_tiny_concepts(tmp_path / "source", made)
    photos = []
    for seed in range(8):
        photos.append(tmp_path / f"{seed}.png")
        draw_image(seed, (64, 64)).save(photos[-1])
    options = CalibrationOptions(images=8)
    exported = export_model(
        str(source), int8=True, images=photos, output=tmp_path / "int8", calibration=options
    )
    graph = onnx.load(exported.path / ENCODER_GRAPH, load_external_data=False)
    kept = concept_nodes(graph)
    head = [node for node in graph.graph.node if node.name in kept]
    kinds = {node.op_type for node in head}
    assert {"Log", "Softmax"} <= kinds
    assert not {"QuantizeLinear", "DequantizeLinear"} & kinds
    stored = {t.name: t.data_type for t in graph.graph.initializer}
    types = {stored[name] for node in graph.graph.node for name in node.input if name in stored}
    assert TensorProto.FLOAT16 in types  # as the model stores them
    size = sum(tensor.length for tensor in read_index(source / "model.safetensors").values())
    assert exported.size < 0.6 * size
    assert Captioner.from_pretrained(exported.path).caption(draw_image(0, (64, 64))).concepts
    # Whatever the backbone has become: the head is the same function of what it gives.
    whole = float_graph(exported.path, ENCODER_GRAPH)
    (mean,) = (node for node in whole.graph.node if node.op_type == "ReduceMean" and node in head)
    whole.graph.output.append(onnx.helper.make_empty_tensor_value_info(mean.output[0]))
    session = onnxruntime.InferenceSession(whole.SerializeToString())
    pixels = np.random.default_rng(0).normal(size=(4, 3, 64, 64)).astype(np.float32)
    found, pooled = session.run(["concept_logits", mean.output[0]], {"pixel_values": pixels})
    with torch.no_grad():
        expected = made.model.encoder.concept_head(torch.from_numpy(pooled.reshape(4, -1)))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)


def test_sigmoid_of_anything() -> None:
    values = np.array([-1e4, -2, 0, 2, 1e4], np.float32)
    np.testing.assert_allclose(sigmoid(values), [0, 0.1192029, 0.5, 0.8807971, 1], atol=1e-6)
