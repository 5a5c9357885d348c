"""Events that an evaluation yields while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capgen.records import CaptionFailure

if TYPE_CHECKING:
    from capgen.evaluation.result import Evaluation


@dataclass(frozen=True, kw_only=True)
class ImageCaptioned:
    """An image was captioned; `done` of `total` images are finished, failures included."""

    image_id: str
    caption: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class ImageFailed:
    """An image could not be captioned and will not be scored."""

    image_id: str
    failure: CaptionFailure
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class MetricsLeftOut:
    """Some metrics cannot be computed here; the others are.

    Attributes:
        reasons: Metric → why, as a sentence.
    """

    reasons: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class FeaturesComputed:
    """The model of a metric has read `done` of `total` inputs that are not in the cache.

    Attributes:
        done: Images and captions for CLIPScore, pairs of caption and reference for BERTScore.
        total: How many there are.
        what: What the model is: `CLIP` or `BERT`.
    """

    done: int
    total: int
    what: str = "CLIP"


@dataclass(frozen=True, kw_only=True)
class ScoringStarted:
    """Captioning is finished; `images` captions are about to be scored.

    Attributes:
        images: How many.
        note: Why scoring takes longer this time, if it does.
    """

    images: int
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationFinished:
    """The evaluation is complete."""

    evaluation: Evaluation


EvaluationEvent = (
    MetricsLeftOut
    | ImageCaptioned
    | ImageFailed
    | FeaturesComputed
    | ScoringStarted
    | EvaluationFinished
)
