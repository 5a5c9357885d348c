"""What a record becomes: a caption with its confidence, a failure, an error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.confidence.model import Fit
from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.runtimes.base import NoCaption
from capgen.errors import ImageError
from capgen.images.decoders import printable
from capgen.records import Caption, CaptionFailure, Record


def with_confidence(
    caption: Caption,
    hypotheses: list[Hypothesis],
    summary: NDArray[np.float32],
    fit: Fit,
    minimum: float | None,
) -> Record:
    """Return a caption with its confidence, or a failure if that is below `minimum`.

    The hypotheses and the summary (D,) are of the first search; a caption that replaced its first
    one in a retry has no confidence, nor has one without log-probabilities.
    """
    values = tuple(token.log_probability for token in caption.tokens)
    first = bool(values) and values == hypotheses[0].log_probabilities
    confidence = fit.confidence(hypotheses, summary) if first else None
    if minimum is None or (confidence is not None and confidence >= minimum):
        return replace(caption, confidence=confidence)
    name = "the image" if caption.path is None else printable(caption.path)
    level = "no confidence after a retry" if confidence is None else f"{confidence:.2f}"
    return CaptionFailure(
        path=caption.path,
        code="low_confidence",
        message=f"{name}: not confident enough in its caption ({level}, minimum {minimum:g})",
        sha256=caption.sha256,
        confidence=confidence,
    )


def uncaptioned(why: NoCaption, path: str | None, *, sha256: str | None) -> CaptionFailure:
    """Return the record of an image that a server gave no caption of.

    Args:
        why: What happened.
        path: The image's name, or None.
        sha256: SHA-256 of its file, or None.
    """
    name = "the image" if path is None else printable(path)
    message = f"{name}: {why.message}"
    return CaptionFailure(path=path, code=why.code, message=message, hint=why.hint, sha256=sha256)


def caption_or_raise(record: Record) -> Caption:
    """Return a caption, or raise the ImageError that a failure records."""
    if isinstance(record, CaptionFailure):
        raise error_of(record)
    return record


def error_of(failure: CaptionFailure) -> ImageError:
    """Return the error that a failure records."""
    return ImageError(failure.message, code=failure.code, hint=failure.hint)
