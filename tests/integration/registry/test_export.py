"""Exports: int8 captions are nearly the same, whatever the batch; damage and misuse are refused."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from capgen.captioning.captioner import Captioner
from capgen.cli.main import main
from capgen.errors import ModelError, UsageError
from capgen.models.folder import DECODER_GRAPH, ENCODER_GRAPH, ModelFolder
from capgen.models.onnx.int8 import float_graph
from capgen.models.resolve import resolve_model
from capgen.models.safetensors_index import read_index
from capgen.paths import bundled_model_dir, models_dir
from capgen.registry.export import CalibrationOptions, Exported, export_model
from capgen.registry.listing import find_model
from capgen.registry.verify import verify_model
from tests.fakes import names
from tests.windows import open_files_stay

COMMAND = "capgen models export mini --int8 --photos my-photos/"  # of docs/models.md


@pytest.fixture(scope="module")
def made(images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The bundled model in int8, its scales from a few drawn images."""
    place = tmp_path_factory.mktemp("export")
    (place / "my-photos").mkdir()
    for image in images[:8]:
        shutil.copy(image, place / "my-photos")
    records: list[Exported] = []

    def export(*given: Any, **named: Any) -> Exported:
        records.append(export_model(*given, **named))
        return records[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPGEN_HOME", str(place / "home"))
        patch.chdir(place)
        patch.setattr("capgen.registry.export.export_model", export)
        assert main(shlex.split(COMMAND)[1:]) == 0
    return records[0]


@pytest.fixture(scope="module")
def int8(made: Exported) -> Captioner:
    return Captioner.from_pretrained(made.path)


def test_it_is_half_the_size_and_says_much_the_same(
    made: Exported, int8: Captioner, bundled: Captioner, images: list[Path]
) -> None:
    assert made.size < 0.65 * made.source_size  # the concept head stays as it is
    assert (int8.runtime.name, int8.runtime.dtype) == ("onnx", "int8")
    assert made.photos == 8
    pairs = list(zip(int8.caption(images[:8]), bundled.caption(images[:8]), strict=True))
    near = [abs(a.score - b.score) for a, b in pairs]
    assert np.median(near) < 0.15
    # Eight drawn images are no calibration for real ones; but words are shared.
    shared = [len(set(a.text.split()) & set(b.text.split())) for a, b in pairs]
    assert np.mean(shared) > 4


def test_a_caption_does_not_depend_on_its_batch(int8: Captioner, images: list[Path]) -> None:
    together = int8.caption(images[:5])
    for image, caption in zip(images[:5], together, strict=True):
        alone = int8.caption(image)
        assert (alone.text, alone.score) == (caption.text, caption.score)


def test_a_confidence_of_other_weights_is_not_kept(made: Exported) -> None:
    assert (resolve_model("mini").path / "calibration.json").is_file()
    assert not (made.path / "calibration.json").exists()


def test_most_weights_are_bytes(made: Exported) -> None:
    index = read_index(made.path / "model.safetensors")
    sizes: dict[str, int] = {}
    for name, tensor in index.items():
        if ".concept_head." in name or tensor.dtype == "U8":  # the concept head stays as it is
            continue
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.length
    assert sizes["I8"] > 0.9 * sum(sizes.values())


def test_where_it_comes_from_is_recorded(made: Exported) -> None:
    provenance = ModelFolder(made.path, "x").provenance
    source = ModelFolder(bundled_model_dir(), "mini")
    assert provenance.export["source_fingerprint"] == source.fingerprint
    assert provenance.export["precision"] == "int8"
    assert provenance.metrics == {}  # measured with other weights
    assert set(provenance.files) == {"concepts.json", "model.safetensors", "tokenizer.json"}
    assert provenance.data == source.provenance.data
    assert (made.path / "LICENSE-EfficientNet").is_file()
    assert not find_model(str(made.path)).problem


def test_verify_accepts_it_and_finds_a_wrong_bit(made: Exported, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made.path, tmp_path / "copy"))
    assert all(check.ok for check in verify_model(str(copy)))
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-5] ^= 64
    (copy / "model.safetensors").write_bytes(weights)
    wrong = [check.name for check in verify_model(str(copy)) if check.ok is False]
    assert wrong == ["hash of model.safetensors"]


def test_graphs_of_other_weights_are_refused(made: Exported, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made.path, tmp_path / "copy"))
    shutil.copy(bundled_model_dir() / "onnx" / "decoder.onnx", copy / "onnx" / "decoder.onnx")
    with pytest.raises(ModelError, match="copy"):
        Captioner.from_pretrained(copy)


def test_torch_refuses_it_with_the_way_out(made: Exported) -> None:
    with pytest.raises(ModelError, match="only ONNX Runtime can run") as caught:
        Captioner.from_pretrained(made.path, runtime="torch")
    assert "mini" in caught.value.hint


def test_weights_are_read_through_links_and_from_nowhere_else(tmp_path: Path) -> None:
    """In the Hub's cache every file is a link."""
    for name in ("model.safetensors", ENCODER_GRAPH, DECODER_GRAPH):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(bundled_model_dir() / name)
    for graph in (ENCODER_GRAPH, DECODER_GRAPH):
        proto = float_graph(tmp_path, graph)
        assert (
            proto.SerializeToString() == float_graph(bundled_model_dir(), graph).SerializeToString()
        )
    proto = onnx.load(tmp_path / DECODER_GRAPH, load_external_data=False)
    outside = next(item for item in proto.graph.initializer if item.external_data)
    for key, value in (("location", "../../etc/passwd"), ("offset", str(1 << 40))):
        changed = onnx.ModelProto.FromString(proto.SerializeToString())
        tensor = next(t for t in changed.graph.initializer if t.name == outside.name)
        next(entry for entry in tensor.external_data if entry.key == key).value = value
        (tmp_path / DECODER_GRAPH).unlink()
        (tmp_path / DECODER_GRAPH).write_bytes(changed.SerializeToString())
        with pytest.raises(ModelError, match=r"decoder\.onnx cannot be read"):
            float_graph(tmp_path, DECODER_GRAPH)


def test_it_is_not_exported_again(made: Exported, images: list[Path]) -> None:
    with pytest.raises(ModelError, match="already"):
        export_model(str(made.path), int8=True, images=images)


def test_a_plain_export_is_kept_by_name_and_never_over_another(tmp_path: Path) -> None:
    made = export_model("mini")
    assert (made.name, made.path) == ("mini-onnx", models_dir() / "mini-onnx")
    provenance = ModelFolder(made.path, "x").provenance
    assert provenance.metrics == ModelFolder(bundled_model_dir(), "mini").provenance.metrics
    assert find_model("mini-onnx").onnx
    before = json.dumps(provenance.created)
    with pytest.raises(UsageError, match="already"):
        export_model("mini")
    with pytest.raises(UsageError, match="already"):
        export_model("mini", output=made.path)
    assert json.dumps(ModelFolder(made.path, "x").provenance.created) == before


def test_int8_needs_images_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs images"):
        export_model("mini", int8=True)
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(UsageError, match="can be read"):
        export_model("mini", int8=True, images=[tmp_path / "bad.jpg"])
    assert not list(models_dir().glob("*")), "nothing half-written stays"


def test_a_model_saved_plainly_gets_its_graphs(tmp_path: Path) -> None:
    from tests.tiny_captioners import captioning, clip_vision, save_plainly

    folder = save_plainly(tmp_path / "plain", captioning(clip_vision()))
    made = export_model(str(folder))
    assert not ModelFolder(folder, "plain").has_onnx, "the source stays as it is"
    exported = Captioner.from_pretrained(made.name)
    assert exported.runtime.name == "onnx"
    image = np.full((48, 48, 3), 128, np.uint8)
    torch = Captioner.from_pretrained(folder)
    assert exported.caption(image).text == torch.caption(image).text


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc")
def test_int8_of_a_plain_model_where_mapped_files_stay(tmp_path: Path, images: list[Path]) -> None:
    """On Windows the scratch folder, and the new one, can be moved and removed only unmapped."""
    from tests.tiny_captioners import captioning, clip_vision, save_plainly

    folder = save_plainly(tmp_path / "plain", captioning(clip_vision()))
    options = CalibrationOptions(images=8)
    with open_files_stay():
        made = export_model(str(folder), int8=True, images=images, calibration=options)
    assert made.photos == 8
    assert names(models_dir()) == [made.name]
