"""What an evaluation tells while it runs. The command line renders them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capgen.records import CaptionFailure

if TYPE_CHECKING:
    from capgen.evaluation.result import Evaluation


@dataclass(frozen=True, kw_only=True)
class ImageCaptioned:
    """An image has its caption.

    Attributes:
        image_id: The image.
        caption: The caption.
        done: Images done so far, failures included.
        total: Images in all.
    """

    image_id: str
    caption: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class ImageFailed:
    """An image could not be captioned and will not be scored.

    Attributes:
        image_id: The image.
        failure: What went wrong.
        done: Images done so far, failures included.
        total: Images in all.
    """

    image_id: str
    failure: CaptionFailure
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class ScoringStarted:
    """All captions are there; scoring begins.

    Attributes:
        images: Images that will be scored.
    """

    images: int


@dataclass(frozen=True, kw_only=True)
class EvaluationFinished:
    """The scores are there."""

    evaluation: Evaluation


EvaluationEvent = ImageCaptioned | ImageFailed | ScoringStarted | EvaluationFinished
