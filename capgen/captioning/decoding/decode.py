"""Batched decoding in numpy on any `StepModel`, by the search that settings ask for.

Each image is decoded independently of the others in its batch.
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
    """Caption a number of images that the model has encoded.

    Returns:
        For each image hypotheses, best first: all finished beams of a beam search, else
        `settings.num_captions` samples, or the one greedy caption.

    Raises:
        ModelError: The model's scores are not numbers, or no token is allowed.
    """
    if settings.repeat_nouns:
        tokens = replace(tokens, nouns=None)
    # Included words and limits need a search, if a small one.
    searches = settings.beams > 1 or (tokens.words is not None and tokens.words.searches)
    if settings.sample or not searches:
        rows = settings.num_captions if settings.sample else 1
        batch = Sampling(model, images, rows, settings, tokens).run()
    else:
        batch = BeamSearch(model, images, settings, tokens).run()
    # Beams whose scores are NaN never finish; sampling returns them.
    if not all(batch) or any(math.isnan(each.score) for image in batch for each in image):
        raise ModelError(
            "Decoding found no caption: the model's scores are not numbers, "
            "or the decoding settings allow no token",
            hint="Try the model's own settings; if that fails too, its weights are damaged.",
        )
    return batch
