"""How long generated captions may become: as long as nearly all training captions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from transformers import GenerationConfig

from capgen.models.build import Captioning

# Share of the training captions that generated captions may be as long as. The last few per
# cent of a data set are several times as long as the rest, and often several sentences.
_SHARE = 0.97


def usual_length(lengths: Sequence[int]) -> int:
    """Return the tokens that 97 % of captions fit into, start and end included.

    Args:
        lengths: Tokens of each caption, without start and end.
    """
    if not lengths:
        return 0
    return sorted(lengths)[math.ceil(_SHARE * len(lengths)) - 1] + 2


def fit_generation_length(captioning: Captioning, captions: Sequence[str], most: int) -> None:
    """Let generated captions become as long as the training captions; never shorter than now.

    Args:
        captioning: The captioner; its generation settings are changed.
        captions: The training captions.
        most: Tokens that training captions are cut to, start included.
    """
    tokens = captioning.tokenizer(list(captions), add_special_tokens=False)["input_ids"]
    generation: GenerationConfig = captioning.model.generation_config
    usual = usual_length([len(row) for row in tokens])
    positions = captioning.model.decoder.config.n_positions
    generation.max_length = min(max(generation.max_length or 0, min(usual, most)), positions)
