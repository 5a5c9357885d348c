"""Loading captioners of every kind that capgen runs in torch, including other people's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    BlipForConditionalGeneration,
    GitForCausalLM,
    VisionEncoderDecoderModel,
)

# Importing it registers our own encoder with transformers' Auto classes.
import capgen.models.efficientnet  # noqa: F401
from capgen.errors import ModelError
from capgen.models.adapters import with_adapter
from capgen.models.folder import ModelFolder
from capgen.models.kinds import ENCODER_DECODER, check_captioner, own_code_error
from capgen.models.loading import load_weights, quiet_transformers

# The class of each of `CAPTIONER_KINDS`.
CAPTIONERS = {
    ENCODER_DECODER: VisionEncoderDecoderModel,
    "blip": BlipForConditionalGeneration,
    "git": GitForCausalLM,
}


def load_captioner(folder: ModelFolder, *, dtype: torch.dtype, trust_remote_code: bool) -> Any:
    """Load a VisionEncoderDecoder, BLIP, GIT or similar captioner on the CPU, for evaluation.

    Raises:
        ModelError: The folder holds no such captioner, or its weights do not fit.
        UnsafeModelError: The only weights are pickled, or the model needs its own code.
    """
    check_captioner(folder.name, folder.config, trust_remote_code=trust_remote_code)
    folder.check_weights()
    with quiet_transformers():
        kind, code = _model_class(folder, trust_remote_code)
        model: Any = load_weights(folder, kind, dtype=dtype, trust_remote_code=code)
        model = with_adapter(folder, model)
    return model.eval()


def image_encoder(folder: ModelFolder, model: Any) -> Any:
    """Return the part of a captioner that maps pixels to states (B, cells, width).

    Raises:
        ModelError: The model has its own code, with another name for that part.
    """
    kind = folder.config.get("model_type")
    if kind == "blip":
        return model.vision_model
    if kind == "git":
        return model.git.image_encoder
    if not hasattr(model, "encoder"):
        raise ModelError(
            f"{folder.name}: capgen does not know the image encoder of a '{kind}' model"
        )
    return model.encoder


def end_tokens(folder: ModelFolder, model: Any) -> tuple[int, ...]:
    """Return the token ids that finish a caption; raise ModelError if the model names none."""
    base = model.generation_config
    starts = (base.decoder_start_token_id, base.bos_token_id)
    if folder.config.get("model_type") == ENCODER_DECODER and starts == (None, None):
        raise ModelError(f"{folder.name} does not name its start token")
    if folder.config.get("model_type") == "blip":
        return (int(model.config.text_config.sep_token_id),)  # as in its own `generate`
    ends = base.eos_token_id
    if ends is None:
        raise ModelError(f"{folder.name} does not name its end token")
    return tuple(ends) if isinstance(ends, list) else (ends,)


def _model_class(folder: ModelFolder, trust_remote_code: bool) -> tuple[type, bool]:
    """Return the class to load a model with, and whether that runs the model's own code.

    It does only for kinds that neither capgen nor transformers knows.
    """
    config = folder.config
    kind = config.get("model_type")
    encoder = config.get("encoder")
    encoder_kind = encoder.get("model_type") if isinstance(encoder, Mapping) else None
    unknown_encoder = kind == ENCODER_DECODER and encoder_kind not in CONFIG_MAPPING
    if kind in CAPTIONERS and not (unknown_encoder and "auto_map" in config):
        return CAPTIONERS[str(kind)], False  # loading reports an unknown encoder
    if not trust_remote_code:
        raise own_code_error(folder.name)
    return AutoModel, True
