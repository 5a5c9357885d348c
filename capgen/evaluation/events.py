"""What an evaluation tells while it runs. The command line renders them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capgen.records import CaptionFailure

if TYPE_CHECKING:
    from capgen.evaluation.result import Evaluation


@dataclass(frozen=True, kw_only=True)
class PhotoCaptioned:
    """A photo has its caption.

    Attributes:
        image_id: The photo.
        caption: The caption.
        done: Photos done so far, failures included.
        total: Photos in all.
    """

    image_id: str
    caption: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class PhotoFailed:
    """A photo could not be captioned and will not be scored.

    Attributes:
        image_id: The photo.
        failure: What went wrong.
        done: Photos done so far, failures included.
        total: Photos in all.
    """

    image_id: str
    failure: CaptionFailure
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class ScoringStarted:
    """All captions are there; scoring begins.

    Attributes:
        images: Photos that will be scored.
    """

    images: int


@dataclass(frozen=True, kw_only=True)
class EvaluationFinished:
    """The scores are there."""

    evaluation: Evaluation


EvaluationEvent = PhotoCaptioned | PhotoFailed | ScoringStarted | EvaluationFinished
