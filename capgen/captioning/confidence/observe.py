"""Captions with the evidence that a confidence is fitted on (see `confidence.model`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.batch_size import DEFAULT_BATCH_SIZE
from capgen.captioning.captioner import Captioner
from capgen.captioning.confidence.model import evidence
from capgen.captioning.decoding.token_texts import text_and_parts
from capgen.captioning.prepare import Prepared, for_prepared
from capgen.captioning.prompting import Noted
from capgen.captioning.to_record import uncaptioned
from capgen.config import DecodeSettings
from capgen.errors import ModelError
from capgen.images.load import ImageSource
from capgen.records import CaptionFailure


class Observation(NamedTuple):
    """A caption and the evidence for how good it may be.

    Attributes:
        text: The caption.
        evidence: By `capgen.captioning.confidence.model.EVIDENCE`.
        summary: (D,) the encoder's summary of the image.
    """

    text: str
    evidence: NDArray[np.float64]
    summary: NDArray[np.float32]

    @property
    def finite(self) -> bool:
        """Whether all numbers are finite; in half precision a model can overflow."""
        return bool(np.isfinite(self.evidence).all() and np.isfinite(self.summary).all())


def observe(
    captioner: Captioner,
    images: Iterable[ImageSource],
    settings: DecodeSettings,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Iterator[Observation | CaptionFailure]:
    """Caption images, and keep the evidence of search and encoder for each caption.

    Raises:
        ModelError: The model is on a server that gives no log-probabilities.
    """

    def observed(batch: Sequence[Prepared]) -> list[Observation | CaptionFailure]:
        return captioner.prompting.for_usable(observed_usable, batch, settings)

    def observed_usable(noted: Sequence[Noted]) -> Iterator[Observation | CaptionFailure]:
        batch = [item for item, _ in noted]
        generated = captioner.runtime.generate([item.input for item in batch], settings)
        found = zip(batch, generated.hypotheses, generated.summarise(), strict=True)
        for place, (item, hypotheses, summary) in enumerate(found):
            if place in generated.failures:
                yield uncaptioned(generated.failures[place], item.path, sha256=item.sha256)
                continue
            best = hypotheses[0]
            if not best.log_probabilities:
                raise ModelError(f"{captioner.name}: its server gives no log-probabilities")
            text, _ = text_and_parts(captioner.runtime.decode, best, item.input.start)
            yield Observation(text.strip(), evidence(hypotheses), summary)

    for batch in captioner.prepared_batches(images, batch_size):
        yield from for_prepared(observed, batch)
