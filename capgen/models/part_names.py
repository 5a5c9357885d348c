"""Short names of a captioner's encoder and decoder, for lists and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ARCHITECTURES = {
    "capgen_efficientnet_lite": "EfficientNet",
    "clip_vision_model": "CLIP ViT",
    "gpt2": "GPT-2",
    "vit": "ViT",
}
_PARTS = {"encoder": ("encoder", "vision_config"), "decoder": ("decoder", "text_config")}


def part_name(config: Mapping[str, Any], name: str) -> str:
    """Describe the encoder or the decoder, as in `GPT-2 3×256`."""
    parts = [config[key] for key in _PARTS[name] if isinstance(config.get(key), dict)]
    part: Mapping[str, Any] = parts[0] if parts else {}
    kind, variant = _text(part.get("model_type")), _text(part.get("variant"))
    title = _ARCHITECTURES.get(kind, kind)
    if variant:
        return f"{title}-{variant}"
    layers = part.get("n_layer", part.get("num_hidden_layers"))
    width = part.get("n_embd", part.get("hidden_size"))
    if isinstance(layers, int) and isinstance(width, int):
        return f"{title} {layers}×{width}"
    return title


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
