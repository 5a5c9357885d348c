"""Caption records: made from decoded hypotheses, with their confidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.confidence.model import Fit
from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.prepare import Prepared
from capgen.captioning.retry import DecodedHypothesis, ImageCaptions
from capgen.errors import ImageError
from capgen.images.decoders import printable
from capgen.records import Caption, CaptionFailure, Record, Token


def caption_of(item: Prepared, captions: ImageCaptions, **shared: Any) -> Caption:
    """Return the record of an image's captions, the best with the others as alternatives.

    Args:
        item: The image.
        captions: Its captions, one at least.
        **shared: What the records of a run have in common: `model`, `revision`, `settings`,
            `notes`.
    """
    first, *others = map(_fields, captions.captions)
    return Caption(
        path=item.path,
        alternatives=tuple(Caption(**other) for other in others),
        width=item.width,
        height=item.height,
        sha256=item.sha256,
        retry=captions.retry,
        **shared,
        **first,
    )


def with_confidence(
    caption: Caption,
    fit: Fit,
    found: list[Hypothesis],
    summary: NDArray[np.float32],
    least: float | None,
) -> Record:
    """Return a caption with its confidence, or a failure if that is below `least`.

    It has none if the search's first caption was set aside for another.

    Args:
        caption: The caption.
        fit: What the confidence comes from.
        found: All hypotheses of the first search, best first.
        summary: (D,) what the encoder made of the image.
        least: The least confidence that is enough, or None.

    Raises:
        ModelError: The fit is another model's.
    """
    shown = tuple(token.id for token in caption.tokens)
    sure = fit.confidence(found, summary) if shown == found[0].ids else None
    if least is None or (sure is not None and sure >= least):
        return replace(caption, confidence=sure)
    name = "the image" if caption.path is None else printable(caption.path)
    level = "its caption was tried again" if sure is None else f"{sure:.2f}"
    return CaptionFailure(
        path=caption.path,
        code="low_confidence",
        message=f"{name}: not sure enough to say what is in it ({level}, asked for {least:g})",
        sha256=caption.sha256,
        model=caption.model,
        revision=caption.revision,
        settings=caption.settings,
        confidence=sure,
    )


def caption_or_raise(record: Record) -> Caption:
    """Return the record of a caption.

    Raises:
        ImageError: It is that of a failure.
    """
    if isinstance(record, CaptionFailure):
        raise error_of(record)
    return record


def error_of(failure: CaptionFailure) -> ImageError:
    """Return the error that a failure records."""
    return ImageError(failure.message, code=failure.code, hint=failure.hint)


def _fields(decoded: DecodedHypothesis) -> dict[str, Any]:
    """Return a record's fields about one caption."""
    found = decoded.hypothesis
    return {
        "text": decoded.text,
        "log_probability": found.log_probability,
        "score": found.score,
        "tokens": tuple(
            Token(id=token, text=part, log_probability=value)
            for token, part, value in zip(
                found.ids, decoded.parts, found.log_probabilities, strict=True
            )
        ),
    }
