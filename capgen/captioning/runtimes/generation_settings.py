"""What of a model's generation_config.json our own decoding does not do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Settings of generation_config.json that change captions and only transformers implements.
_TORCH_ONLY = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "diversity_penalty",
    "encoder_repetition_penalty",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "sequence_bias",
    "typical_p",
    "min_p",
)


def torch_only(generation: Mapping[str, Any]) -> str:
    """Return a setting of a generation_config that only `generate` supports, or ""."""
    neutral: tuple[Any, ...] = (None, 0.0, 1.0, [], {})
    return next((name for name in _TORCH_ONLY if generation.get(name) not in neutral), "")
