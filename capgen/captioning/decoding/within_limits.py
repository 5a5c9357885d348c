"""Captions no longer than asked: searched again, among those that fit, where they are longer.

So a limit changes nothing about captions that keep to it anyway.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from capgen.captioning.decoding.decode import decode
from capgen.captioning.decoding.hypotheses import Hypothesis, Ints, StepModel, TokenIds
from capgen.config import DecodeSettings


class Begin(Protocol):
    """Starts the captions of some images of a batch."""

    def __call__(self, rows: Ints, *, limited: bool) -> tuple[StepModel, TokenIds]:
        """Return a decoder of the images in these rows, and the tokens that steer it.

        If `limited`, its `words` keep captions to what `limits` allow.
        """
        ...


def decode_within(begin: Begin, images: int, settings: DecodeSettings) -> list[list[Hypothesis]]:
    """Caption a number of images; see `decode`.

    Args:
        begin: Starts their captions.
        images: How many there are.
        settings: Decoding settings.
    """
    model, tokens = begin(np.arange(images), limited=False)
    found = decode(model, images, settings, tokens)
    limits = tokens.limits
    if limits is None or settings.sample:  # samples end in time
        return found
    kept = [[each for each in image if limits.fits(each.prefix, each.ids)] for image in found]
    wanted = settings.beams if settings.diverse else settings.num_captions
    lacking = np.array([row for row, image in enumerate(kept) if len(image) < wanted], np.int64)
    if not len(lacking):
        return kept
    model, tokens = begin(lacking, limited=True)
    for row, more in zip(lacking, decode(model, len(lacking), settings, tokens), strict=True):
        known = {each.ids for each in kept[row]}
        kept[row] += [each for each in more if each.ids not in known]
        del kept[row][settings.beams :]
    return kept
