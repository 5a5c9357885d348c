"""Scores of a set of captions, and how they were computed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from capgen.metrics.corpus import Floats, Integers
from capgen.metrics.definitions import PROTOCOL
from capgen.metrics.language import LanguageStatistics
from capgen.metrics.ptb.tokenizer import TOKENIZER, TOKENIZER_VERSION
from capgen.metrics.tokenizers import PTB


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """How the numbers of a report were computed.

    Attributes:
        protocol: Name of the scoring protocol.
        tokenizer: Name of the tokenizer.
        tokenizer_version: Its version, which changes whenever its tokens do.
        images: Number of images.
        references: Number of references.
        references_digest: Fingerprint of the references and the ids of their images.
        document_frequencies: Source of CIDEr-D's document frequencies.
        definitions: Metric → its exact definition.
        versions: Package → version.
        tokenizer_key: The tokenizer as `--tokenizer` calls it.
        language: The captions' language as in BCP 47; empty if unknown.
        language_source: Where that is from: `given`, or a guess, for example.
        captions_digest: Fingerprint of the predictions and the ids of their images.
        frequencies_digest: Fingerprint of a table of document frequencies; empty without one.
        evidence: Metric → what it used besides captions and references: a model, a table.
    """

    protocol: str = PROTOCOL
    tokenizer: str = TOKENIZER
    tokenizer_version: str = TOKENIZER_VERSION
    images: int
    references: int
    references_digest: str
    document_frequencies: str
    definitions: Mapping[str, str]
    versions: Mapping[str, str]
    tokenizer_key: str = PTB
    language: str = ""
    language_source: str = ""
    captions_digest: str = ""
    frequencies_digest: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """Return in one line what the scores depend on, for every table of them."""
        each = self.references / self.images
        images = f"{self.images:,} image{'s' * (self.images != 1)}"
        references = (
            f"{self.references:,} reference{'s' * (self.references != 1)} ({each:.3g} each)"
        )
        source = f" ({self.language_source})" if self.language_source else ""
        language = f"; language: {self.language}{source}" if self.language else ""
        return (
            f"{images}, {references}{language}; tokens: {self.tokenizer}; document "
            f"frequencies: {self.document_frequencies}"
        )


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """Scores of a set of captions.

    Attributes:
        image_ids: The images, in the order of the predictions.
        corpus: Name → score of the whole set. One that is undefined is not there.
        per_image: Name → (images,) scores in the order of `image_ids`: NaN where SPICE is
            undefined.
        bleu_statistics: (images, 10) counts, see `capgen.metrics.bleu`; None without BLEU.
            A corpus BLEU is not the mean of its images': the bootstrap needs these.
        meteor_statistics: (images, 23) counts, see `capgen.metrics.meteor_1_5.statistics`, for
            the same reason; None without METEOR 1.5.
        ratios: Name → (images, 2) numerators and denominators of scores whose corpus score is
            the ratio of the sums.
        language: Length, vocabulary and variety of the predictions.
        left_out: Metric that was asked for and not computed → the reason, as a sentence.
        failed: Those of them that failed, such as official programs; the others cannot read the
            language.
        notes: Caveats about the numbers, as sentences.
        stamp: How the numbers were computed.
    """

    image_ids: tuple[str, ...]
    corpus: Mapping[str, float]
    per_image: Mapping[str, Floats]
    bleu_statistics: Integers | None = field(default=None, repr=False)
    meteor_statistics: Integers | None = field(default=None, repr=False)
    ratios: Mapping[str, Integers] = field(default_factory=dict, repr=False)
    language: LanguageStatistics
    notes: tuple[str, ...] = ()
    stamp: Stamp
    left_out: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as built-in types; `images` has one record per image."""
        rows = zip(*(scores.tolist() for scores in self.per_image.values()), strict=True)
        return {
            "corpus": {name: self.corpus.get(name) for name in self.per_image},
            "images": [
                {"image_id": image_id, **dict(zip(self.per_image, map(_or_none, row), strict=True))}
                for image_id, row in zip(self.image_ids, rows, strict=True)
            ],
            "language": self.language.to_dict(),
            "notes": list(self.notes),
            "left_out": dict(self.left_out),
            "failed_metrics": list(self.failed),
            "stamp": dataclasses.asdict(self.stamp),
        }


def left_out_notes(reasons: Mapping[str, str]) -> list[str]:
    """Return the notes on metrics that are left out, given the reason of each."""
    sharing: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        sharing.setdefault(reason, []).append(name)
    return [
        f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} left out: {reason}"
        for reason, names in sharing.items()
    ]


def _or_none(value: float) -> float | None:
    """Return None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value
