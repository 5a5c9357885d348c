"""The code that is pushed with a model: copies of capgen's own modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import capgen
from capgen.models.folder import CONFIG_FILE, ModelFolder
from capgen.models.kinds import ENCODER_DECODER

MODELING_FILE = "modeling_capgen.py"
ENCODER_FILE = "efficientnet.py"
CONCEPT_HEAD_FILE = "concept_head.py"
ENCODER_TYPE = "capgen_efficientnet_lite"
# Importing the encoder registers it with transformers' Auto classes. transformers copies the
# modules that this one names, and in some versions not those that they name in turn.
REGISTERING = (
    "\nfrom .concept_head import ConceptHead  # noqa: E402, F401"
    "\nfrom .efficientnet import EfficientNetLiteModel  # noqa: E402, F401\n"
)
AUTO_MAP = {
    "AutoConfig": "modeling_capgen.CapgenConfig",
    "AutoModel": "modeling_capgen.CapgenModel",
}


def code_files(folder: ModelFolder) -> dict[str, bytes]:
    """Return name → content of the code files of a model; empty for other kinds of models."""
    config = folder.config
    if config.get("model_type") != ENCODER_DECODER:
        return {}
    modeling = _source(MODELING_FILE)
    if not has_own_encoder(config):
        return {MODELING_FILE: modeling}
    return {
        MODELING_FILE: modeling + REGISTERING.encode(),
        # Beside it, and not in capgen, is the module that it imports.
        ENCODER_FILE: _source(ENCODER_FILE).replace(b"from capgen.models.", b"from ."),
        CONCEPT_HEAD_FILE: _source(CONCEPT_HEAD_FILE),
    }


def has_own_encoder(config: dict[str, Any]) -> bool:
    """Return whether a model's encoder is capgen's, which transformers does not have."""
    encoder = config.get("encoder")
    return isinstance(encoder, dict) and encoder.get("model_type") == ENCODER_TYPE


def config_with_code(folder: ModelFolder) -> bytes:
    """Return `config.json`, with an `auto_map` if the model has code files."""
    if not code_files(folder):
        return (folder.path / CONFIG_FILE).read_bytes()
    config = {key: value for key, value in folder.config.items() if key != "auto_map"}
    return (json.dumps({**config, "auto_map": AUTO_MAP}, indent=2) + "\n").encode()


def _source(name: str) -> bytes:
    return (Path(capgen.__file__).parent / "models" / name).read_bytes()
