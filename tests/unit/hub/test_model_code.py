"""The code pushed with a model is capgen's own source and does not import capgen."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import capgen
from capgen.hub.model_code import (
    AUTO_MAP,
    ENCODER_TYPE,
    REGISTERING,
    code_files,
    config_with_code,
)
from capgen.models.folder import ModelFolder
from capgen.paths import bundled_model_dir

MODELS = Path(capgen.__file__).parent / "models"
STOCK = {"model_type": "vision-encoder-decoder", "encoder": {"model_type": "clip_vision_model"}}


@pytest.fixture
def mini() -> ModelFolder:
    return ModelFolder(bundled_model_dir(), "mini")


def stock(folder: Path, config: dict[str, object]) -> ModelFolder:
    (folder / "config.json").write_text(json.dumps(config))
    return ModelFolder(folder, "stock")


def test_the_files_are_the_modules(mini: ModelFolder, tmp_path: Path) -> None:
    wrapper = (MODELS / "modeling_capgen.py").read_bytes()
    assert code_files(stock(tmp_path, STOCK)) == {"modeling_capgen.py": wrapper}
    encoder = (MODELS / "efficientnet.py").read_bytes()
    module = b"from capgen.models.concept_head import"
    assert encoder.count(b"from capgen") == encoder.count(module) == 1
    assert code_files(mini) == {
        "modeling_capgen.py": wrapper + REGISTERING.encode(),
        "efficientnet.py": encoder.replace(module, b"from .concept_head import"),
        "concept_head.py": (MODELS / "concept_head.py").read_bytes(),
    }
    assert code_files(stock(tmp_path, {"model_type": "blip"})) == {}


def test_they_import_nothing_of_capgen(mini: ModelFolder) -> None:
    allowed = {"torch", "transformers", "PIL", "__future__", "os", "math", "typing"}
    for content in code_files(mini).values():
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").split(".")[0]} if node.level == 0 else set()
            else:
                continue
            assert names <= allowed | {"dataclasses", "functools"}


def test_auto_map_names_what_is_there(mini: ModelFolder) -> None:
    config = json.loads(config_with_code(mini))
    assert config.pop("auto_map") == AUTO_MAP
    assert config == mini.config
    tree = ast.parse(code_files(mini)["modeling_capgen.py"])
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert {f"modeling_capgen.{name}" for name in classes} >= set(AUTO_MAP.values())


def test_the_encoders_name_is_the_one_registered() -> None:
    from capgen.models.efficientnet import EfficientNetLiteConfig

    assert EfficientNetLiteConfig.model_type == ENCODER_TYPE


def test_a_map_of_somebody_else_is_replaced(tmp_path: Path) -> None:
    folder = stock(tmp_path, {**STOCK, "auto_map": {"AutoModel": "theirs.Model"}})
    assert json.loads(config_with_code(folder))["auto_map"] == AUTO_MAP
