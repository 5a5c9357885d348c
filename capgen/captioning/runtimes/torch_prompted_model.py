"""What a model that answers prompts tells about itself: its tokens, and its view of an image."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from capgen.errors import ModelError
from capgen.models.folder import ModelFolder


def completed_config(name: str, model: Any, tokenizer: Any) -> Any:
    """Return the model's generation config, with all tokens that end an answer.

    Raises:
        ModelError: There is none.
    """
    config = model.generation_config
    text = model.config.get_text_config(decoder=True)
    found: set[int] = set()
    for owner in (config, tokenizer, *([] if config.eos_token_id else [text])):
        ends = getattr(owner, "eos_token_id", None)
        found |= set(ends if isinstance(ends, list) else [] if ends is None else [ends])
    if not found:
        raise ModelError(f"{name} does not name its end token")
    config.eos_token_id = sorted(found)
    pads = (config.pad_token_id, getattr(tokenizer, "pad_token_id", None), min(found))
    config.pad_token_id = next(token for token in pads if token is not None)
    return config


def image_summary(
    folder: ModelFolder, model: Any, placed: Mapping[str, Any]
) -> NDArray[np.float32]:
    """Return the mean (D,) of the image features that the language model reads.

    Args:
        folder: The model folder.
        model: The model.
        placed: What its processor made of an image, on its device.

    Raises:
        ModelError: capgen does not know where the model has its image features.
    """
    encode = getattr(model, "get_image_features", None)
    if encode is None:
        raise ModelError(
            f"{folder.name}: capgen does not know the image features of a "
            f"'{folder.config.get('model_type')}' model, so it cannot tell how confident it is"
        )
    known = inspect.signature(encode).parameters
    with torch.inference_mode():
        features = encode(**{key: value for key, value in placed.items() if key in known})
        if hasattr(features, "last_hidden_state"):
            pooled = getattr(features, "pooler_output", None)
            features = features.last_hidden_state if pooled is None else pooled
        parts = features if isinstance(features, list | tuple) else [features]
        flat = torch.cat([part.reshape(-1, part.shape[-1]) for part in parts])
        return flat.float().mean(dim=0).cpu().numpy()
