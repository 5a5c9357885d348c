"""Verification finds damage and names the damaged part."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from capgen.errors import ModelNotFoundError
from capgen.models.folder import ModelFolder
from capgen.models.safetensors_index import read_index
from capgen.paths import bundled_model_dir, models_dir
from capgen.records import Check
from capgen.registry.verify import verify_model


@pytest.fixture
def copy() -> Path:
    """A copy of the bundled model, kept as `copy`."""
    return Path(shutil.copytree(bundled_model_dir(), models_dir() / "copy"))


def failures(name: str = "copy") -> list[Check]:
    return [check for check in verify_model(name) if check.ok is False]


def test_the_bundled_model_is_whole_and_captions() -> None:
    checks = list(verify_model("mini"))
    assert [check.name for check in checks] == [
        *("hash of concepts.json", "hash of model.safetensors", "hash of tokenizer.json"),
        *("weights", "loads", "captions"),
    ]
    assert all(check.ok for check in checks)
    assert len(checks[-1].detail.split()) > 3


def test_one_wrong_bit_in_the_weights_is_found(copy: Path) -> None:
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1000] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    (wrong,) = failures()
    assert wrong == Check("hash of model.safetensors", False, "differs from the recorded one")


def test_a_changed_tokenizer_is_found(copy: Path) -> None:
    text = (copy / "tokenizer.json").read_text()
    (copy / "tokenizer.json").write_text(text.replace('"dog"', '"god"'))
    assert [check.name for check in failures()] == ["hash of tokenizer.json"]


def test_without_a_recorded_hash_it_says_so(copy: Path) -> None:
    record = json.loads((copy / "capgen.json").read_text())
    (copy / "capgen.json").write_text(json.dumps({**record, "files": {}}))
    checks = verify_model("copy")
    for name in ("concepts.json", "model.safetensors", "tokenizer.json"):
        assert next(checks) == Check(f"hash of {name}", None, "none was recorded")
    assert next(checks).ok


def test_weights_that_are_no_numbers_are_found_without_a_hash(copy: Path) -> None:
    (copy / "capgen.json").unlink()
    weights = bytearray((copy / "model.safetensors").read_bytes())
    place = next(t for t in read_index(copy / "model.safetensors").values() if t.dtype == "F16")
    weights[place.offset : place.offset + 2] = np.float16(np.nan).tobytes()
    (copy / "model.safetensors").write_bytes(weights)
    (wrong,) = failures()
    assert "contains NaN or infinity" in wrong.detail


def test_no_number_in_bfloat16_is_found(tmp_path: Path) -> None:
    from capgen.registry import verify as module

    folder = tmp_path / "m"
    folder.mkdir()
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    for second, fine in ((0x3F80, True), (0x7F80, False), (0xFFC0, False)):
        content = struct.pack("<Q", len(header)) + header + struct.pack("<HH", 0x4000, second)
        (folder / "model.safetensors").write_bytes(content)
        checks = list(module._weights(ModelFolder(folder, "m")))
        assert [check.ok for check in checks] == [fine]


@pytest.mark.parametrize(
    ("file", "keep", "where"),
    [
        ("model.safetensors", 1_000_000, "hash of model.safetensors"),
        ("onnx/decoder.onnx", 1000, "works"),
        ("config.json", 10, "works"),
        ("generation_config.json", 10, "works"),
        ("preprocessor_config.json", 10, "works"),
    ],
)
def test_a_file_cut_off_is_found(copy: Path, file: str, keep: int, where: str) -> None:
    (copy / file).write_bytes((copy / file).read_bytes()[:keep])
    assert [check.name for check in failures()] == [where]


def test_missing_weights_are_found(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert failures() == [Check("hash of model.safetensors", False, "the file is missing")]


def test_files_of_the_hubs_cache_are_checked_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    blobs = tmp_path / "models--user--captioner" / "blobs"
    snapshot = blobs.parent / "snapshots" / ("d" * 40)
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        content = (bundled_model_dir() / name).read_bytes()
        large = name.endswith("safetensors")
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        blob = blobs / (hashlib.sha256(content).hexdigest() if large else git)
        blob.write_bytes(content)
        (snapshot / name).symlink_to(blob)
    folder = str(snapshot)
    good = {check.name: check.ok for check in verify_model(folder) if "hash" in check.name}
    assert good == {"hash of config.json": True, "hash of model.safetensors": True}
    blob = (snapshot / "config.json").resolve()
    blob.write_bytes(blob.read_bytes() + b" ")
    (wrong,) = failures(folder)
    assert wrong == Check("hash of config.json", False, "differs from that of the Hub's file")


def test_an_unknown_name_is_an_error_not_a_finding() -> None:
    with pytest.raises(ModelNotFoundError):
        list(verify_model("./nothing"))
