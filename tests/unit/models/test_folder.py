"""What is read from a model folder without torch; provenance of earlier versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from capgen.errors import ModelError, UnsafeModelError
from capgen.models.folder import ModelFolder
from capgen.models.provenance import Provenance
from capgen.paths import bundled_model_dir

OLD_FILE = Path(__file__).parents[2] / "data" / "capgen_v1.json"
BUNDLED = ModelFolder(bundled_model_dir(), "mini")


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    """The bundled model's folder without its large files."""
    for file in bundled_model_dir().glob("*.json"):
        shutil.copy(file, tmp_path)
    return ModelFolder(tmp_path, "copy")


def test_the_bundled_model_is_whole() -> None:
    assert BUNDLED.has_onnx
    assert BUNDLED.positions == 24
    assert BUNDLED.preprocessor.input_size == (288, 288)
    assert BUNDLED.generation["num_beams"] == 3
    assert BUNDLED.provenance.preset == "mini"
    BUNDLED.check_weights()
    total = sum(file.stat().st_size for file in BUNDLED.path.rglob("*") if file.is_file())
    assert total < 50_000_000


def test_a_capgen_json_of_schema_version_1_is_read(folder: ModelFolder) -> None:
    shutil.copy(OLD_FILE, folder.path / "capgen.json")
    provenance = folder.provenance
    assert provenance.preset == "mini"
    assert provenance.metrics["test"]["cider-d"] == 0.66
    assert provenance.training == {}
    assert provenance.versions == {}
    provenance.write(folder.path)
    assert folder.provenance == provenance
    assert json.loads((folder.path / "capgen.json").read_text())["schema_version"] == 1


def test_models_from_elsewhere_have_no_provenance(folder: ModelFolder) -> None:
    (folder.path / "capgen.json").unlink()
    assert folder.provenance == Provenance()


def test_generation_settings_of_old_models_lie_in_the_config(folder: ModelFolder) -> None:
    (folder.path / "generation_config.json").unlink()
    config = {**folder.config, "num_beams": 4, "max_length": None}
    (folder.path / "config.json").write_text(json.dumps(config))
    assert folder.generation == {
        "decoder_start_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "num_beams": 4,
    }


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "capgen.json"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"\xff\xfe{}", b"[" * 100_000], ids=lambda c: repr(c)[:12]
)
def test_damaged_json_names_the_file(folder: ModelFolder, name: str, content: bytes) -> None:
    (folder.path / name).write_bytes(content)
    part = {"config.json": "config", "capgen.json": "provenance"}.get(name, "generation")
    with pytest.raises(ModelError) as caught:
        getattr(folder, part)
    assert str(folder.path / name) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json") as caught:
        _ = ModelFolder(tmp_path, "x").config
    assert caught.value.hint


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"decoder": {"n_positions": 1024}}, 1024),
        ({"decoder": {"max_position_embeddings": 512}}, 512),
        ({"model_type": "blip", "text_config": {"max_position_embeddings": 300}}, 300),
        ({"model_type": "git", "max_position_embeddings": 200}, 200),
        ({}, None),
        ({"decoder": None}, None),
    ],
)
def test_positions(tmp_path: Path, config: dict, positions: int | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert ModelFolder(tmp_path, "x").positions == positions


def test_weights_must_be_safetensors(folder: ModelFolder) -> None:
    with pytest.raises(ModelError, match="has no weights"):
        folder.check_weights()
    (folder.path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeModelError, match=r"pytorch_model\.bin") as caught:
        folder.check_weights()
    assert caught.value.hint
    index = {"weight_map": {"a": "model-1.safetensors"}}
    (folder.path / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder.path / "model-1.safetensors").write_bytes(b"")
    folder.check_weights()


def test_half_of_the_graphs_is_none(folder: ModelFolder) -> None:
    assert not folder.has_onnx
    (folder.path / "onnx").mkdir()
    (folder.path / "onnx" / "encoder.onnx").write_bytes(b"x")
    assert not folder.has_onnx
