"""The requirements and the folder of an export."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from capgen.errors import MissingDependencyError, UsageError
from capgen.models.folder import ModelFolder
from capgen.models.resolve import bundled_model_dir
from capgen.paths import models_dir
from capgen.registry.changes import check_name
from capgen.registry.export import _target, export_model


def test_without_onnx_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "capgen.models.onnx.int8", raising=False)
    with pytest.raises(MissingDependencyError) as caught:
        export_model("mini", int8=True, images=[tmp_path / "photo.jpg"])
    assert caught.value.hint == "pip install 'capgen[export]'"
    assert not list(models_dir().iterdir()), "nothing half-written stays"


def test_without_onnxscript_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(bundled_model_dir(), plain, ignore=shutil.ignore_patterns("onnx"))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match="onnxscript") as caught:
        export_model(str(plain))
    assert caught.value.hint == "pip install 'capgen[export]'"
    assert not list(models_dir().iterdir())


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("mini", "mini-int8"),
        ("run/best-eval", "run-best-eval-int8"),
        ("user/model@main", "user-model-int8"),
        ("./folder/model/", "folder-model-int8"),
        ("/somewhere/else/model", "else-model-int8"),
        ("C:\\models\\mine", "models-mine-int8"),
        ("D:\\mine", "mine-int8"),
        ("models\\mine", "models-mine-int8"),
    ],
)
def test_the_name_of_an_export(name: str, kept: str, tmp_path: Path) -> None:
    assert _target(ModelFolder(tmp_path, name), None, "int8") == models_dir() / kept


def test_a_name_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a model's name"):
        _target(ModelFolder(tmp_path, "../ü"), None, "onnx")


@pytest.mark.parametrize("name", ["con", "nul.model"])
def test_names_that_windows_reserves(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a model's name"):
        check_name(name)
