"""Batched decoding in numpy: greedy, beam search and sampling, on any `StepModel`.

Each photo is decoded independently of the others in its batch, sampling included: every
photo draws from its own generator.
"""

from __future__ import annotations

from capgen.config import DecodeSettings
from capgen.inference.beam_search import BeamSearch
from capgen.inference.hypotheses import Hypothesis, StepModel, TokenIds
from capgen.inference.sampling import Walk


def decode(
    model: StepModel, photos: int, settings: DecodeSettings, tokens: TokenIds
) -> list[list[Hypothesis]]:
    """Caption a batch of encoded photos.

    Args:
        model: A decoder that was given the photos.
        photos: How many there are.
        settings: What to do.
        tokens: Special token ids of the model.

    Returns:
        For each photo `settings.num_captions` hypotheses, best first.
    """
    if settings.sample or settings.beams == 1:
        rows = settings.num_captions if settings.sample else 1
        return Walk(model, photos, rows, settings, tokens).run()
    return BeamSearch(model, photos, settings, tokens).run()
