"""Batched decoding in numpy: greedy, beam search and sampling, on any `StepModel`.

Each image is decoded independently of the others in its batch, sampling included: every
image draws from its own generator.
"""

from __future__ import annotations

import math
from dataclasses import replace

from capgen.captioning.decoding.beam_search import BeamSearch
from capgen.captioning.decoding.hypotheses import Hypothesis, StepModel, TokenIds
from capgen.captioning.decoding.sampling import Sampling
from capgen.config import DecodeSettings
from capgen.errors import ModelError


def decode(
    model: StepModel, images: int, settings: DecodeSettings, tokens: TokenIds
) -> list[list[Hypothesis]]:
    """Caption a batch of encoded images.

    Args:
        model: A decoder that was given the images.
        images: How many there are.
        settings: What to do.
        tokens: Special token ids of the model.

    Returns:
        For each image hypotheses, best first: all finished beams of a beam search, else
        `settings.num_captions` samples, or the one greedy caption.

    Raises:
        ModelError: The model's scores are not numbers, or no token is allowed.
    """
    if settings.repeat_nouns:
        tokens = replace(tokens, nouns=None)
    if settings.sample or settings.beams == 1:
        rows = settings.num_captions if settings.sample else 1
        found = Sampling(model, images, rows, settings, tokens).run()
    else:
        found = BeamSearch(model, images, settings, tokens).run()
    # Beams whose scores are NaN never finish; sampling says anything.
    if not all(found) or any(math.isnan(one.score) for every in found for one in every):
        raise ModelError(
            "Decoding found no caption: the model's scores are not numbers, "
            "or the decoding settings allow no token",
            hint="Try the model's own settings; if that fails too, its weights are damaged.",
        )
    return found
