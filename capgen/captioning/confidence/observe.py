"""Captions together with what a confidence can be fitted on (see `confidence`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.captioner import DEFAULT_BATCH_SIZE, Captioner
from capgen.captioning.confidence.model import evidence
from capgen.captioning.confidence.recorder import Watch
from capgen.captioning.prepare import ImageInput, Prepared, batches_ahead, path_of
from capgen.config import DecodeSettings
from capgen.errors import ImageError


class Observation(NamedTuple):
    """A caption and what tells how good it may be.

    Attributes:
        text: The caption.
        evidence: By `capgen.captioning.confidence.model.EVIDENCE`.
        summary: (D,) what the encoder made of the image.
    """

    text: str
    evidence: NDArray[np.float64]
    summary: NDArray[np.float32]

    @property
    def finite(self) -> bool:
        """Whether all numbers are; in half precision a model can overflow."""
        return bool(np.isfinite(self.evidence).all() and np.isfinite(self.summary).all())


def observe(
    captioner: Captioner,
    images: Iterable[ImageInput],
    settings: DecodeSettings,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Iterator[Observation | ImageError]:
    """Caption images; one that cannot be read gives its error.

    Args:
        captioner: The model.
        images: Images, as for `Captioner.caption`.
        settings: How to decode.
        batch_size: Images the model sees at once.
    """
    size = captioner.batch_of(batch_size)
    for batch in batches_ahead(partial(_prepared, captioner), images, size):
        seen = _observed(captioner, [p for p in batch if isinstance(p, Prepared)], settings)
        for item in batch:
            yield next(seen) if isinstance(item, Prepared) else item


def _prepared(captioner: Captioner, image: ImageInput) -> Prepared | ImageError:
    try:
        return captioner.prepare(captioner.load(image), path_of(image))
    except ImageError as error:
        return error


def _observed(
    captioner: Captioner, batch: list[Prepared], settings: DecodeSettings
) -> Iterator[Observation]:
    if not batch:
        return
    pixels = np.stack([item.pixels for item in batch])
    watch = Watch(captioner.runtime)
    watch.generate(pixels, settings)
    for hypotheses, summary in watch.seen:
        text, _ = captioner.runtime.texts(hypotheses[0].ids)
        yield Observation(text, evidence(hypotheses), summary)
