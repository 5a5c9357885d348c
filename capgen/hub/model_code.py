"""The code files that travel with a pushed model, and where its configuration names them.

The files are the source of modules of capgen itself, so that there is one home for each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import capgen
from capgen.models.folder import CONFIG_FILE, ModelFolder
from capgen.models.kinds import ENCODER_DECODER

MODELING_FILE = "modeling_capgen.py"
ENCODER_FILE = "efficientnet.py"
ENCODER_TYPE = "capgen_efficientnet_lite"
# Importing the encoder registers it with transformers' Auto classes.
REGISTERING = "\nfrom .efficientnet import EfficientNetLiteModel  # noqa: E402, F401\n"
AUTO_MAP = {
    "AutoConfig": "modeling_capgen.CapgenConfig",
    "AutoModel": "modeling_capgen.CapgenModel",
}


def code_files(folder: ModelFolder) -> dict[str, bytes]:
    """Return name → content of the code that goes with a model; none for other kinds of models.

    Raises:
        ModelError: `config.json` is missing or damaged.
    """
    config = folder.config
    if config.get("model_type") != ENCODER_DECODER:
        return {}
    if not has_own_encoder(config):
        return {MODELING_FILE: _source(MODELING_FILE)}
    return {
        MODELING_FILE: _source(MODELING_FILE) + REGISTERING.encode(),
        ENCODER_FILE: _source(ENCODER_FILE),
    }


def has_own_encoder(config: dict[str, Any]) -> bool:
    """Whether a model's encoder is capgen's, which transformers does not know."""
    encoder = config.get("encoder")
    return isinstance(encoder, dict) and encoder.get("model_type") == ENCODER_TYPE


def config_with_code(folder: ModelFolder) -> bytes:
    """Return `config.json`, naming the code files where there are any.

    Raises:
        ModelError: `config.json` is missing or damaged.
    """
    config = {key: value for key, value in folder.config.items() if key != "auto_map"}
    if not code_files(folder):
        return (folder.path / CONFIG_FILE).read_bytes()
    return (json.dumps({**config, "auto_map": AUTO_MAP}, indent=2) + "\n").encode()


def _source(name: str) -> bytes:
    return (Path(capgen.__file__).parent / "models" / name).read_bytes()
