"""Score captions; the entry point to the metrics."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

import capgen
import capgen.metrics.bleu as bleu
import capgen.metrics.cider as cider
import capgen.metrics.meteor as meteor
import capgen.metrics.meteor_1_5.score as meteor_1_5
import capgen.metrics.official as official
import capgen.metrics.rouge as rouge
from capgen.errors import MetricError, UsageError, did_you_mean
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.corpus import Corpus, Floats, Integers
from capgen.metrics.language import LanguageStatistics, language_statistics
from capgen.metrics.meteor_1_5 import resources
from capgen.metrics.meteor_1_5.paraphrases import are_unpacked
from capgen.metrics.meteor_1_5.statistics import scores as meteor_scores
from capgen.metrics.meteor_1_5.statistics import summable
from capgen.metrics.ptb.tokenizer import TOKENIZER, TOKENIZER_VERSION
from capgen.metrics.scripts import ascii_share, unspaced_share

PROTOCOL = "COCO captions, equal to pycocoevalcap 1.2"

# The metrics, with their definitions.
METRICS = {
    "bleu": "BLEU-1 to BLEU-4 of pycocoevalcap (closest reference length)",
    "rouge_l": "ROUGE-L of pycocoevalcap (F with beta 1.2, best precision and best recall)",
    "rouge_score": "ROUGE-L F1 of the rouge-score package, its own tokens, best reference",
    "cider_d": "CIDEr-D of pycocoevalcap's class Cider (n = 4, sigma = 6)",
    "meteor": "METEOR of nltk.translate.meteor_score with WordNet 3.0, best reference",
    "meteor_1_5": "METEOR 1.5 for English, equal to its own program, data of pycocoevalcap",
    "spice": "SPICE by its own program, through pycocoevalcap and Java",
}
# German has 2 % of letters that rouge-score cuts words at; English has a "café" now and then.
_DROPPED_LETTERS = 0.01
DEFAULT_METRICS = ("bleu", "rouge_l", "rouge_score", "cider_d", "meteor")


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


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """Scores of a set of captions.

    Attributes:
        image_ids: The images, in the order of the predictions.
        corpus: Name → score of the whole set.
        per_image: Name → (images,) scores in the order of `image_ids`.
        bleu_statistics: (images, 10) counts, see `capgen.metrics.bleu`; None without BLEU.
            A corpus BLEU is not the mean of its images': the bootstrap needs these.
        meteor_statistics: (images, 23) counts, see `capgen.metrics.meteor_1_5.statistics`, for
            the same reason; None without METEOR 1.5.
        language: Length, vocabulary and variety of the predictions.
        notes: Caveats about the numbers, as sentences.
        stamp: How the numbers were computed.
    """

    image_ids: tuple[str, ...]
    corpus: Mapping[str, float]
    per_image: Mapping[str, Floats]
    bleu_statistics: Integers | None = field(default=None, repr=False)
    meteor_statistics: Integers | None = field(default=None, repr=False)
    language: LanguageStatistics
    notes: tuple[str, ...] = ()
    stamp: Stamp

    def to_dict(self) -> dict[str, Any]:
        """Return the report as built-in types; `images` has one record per image."""
        rows = zip(*(scores.tolist() for scores in self.per_image.values()), strict=True)
        return {
            "corpus": {name: _or_none(value) for name, value in self.corpus.items()},
            "images": [
                {"image_id": image_id, **dict(zip(self.per_image, map(_or_none, row), strict=True))}
                for image_id, row in zip(self.image_ids, rows, strict=True)
            ],
            "language": self.language.to_dict(),
            "notes": list(self.notes),
            "stamp": dataclasses.asdict(self.stamp),
        }


def score_captions(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    *,
    metrics: Collection[str] = DEFAULT_METRICS,
    document_frequencies: DocumentFrequencies | None = None,
    training_captions: frozenset[str] | None = None,
    language: str = "",
) -> ScoreReport:
    """Score one caption per image against the image's references.

    Args:
        predictions: Image id → caption, as generated.
        references: Image id → human captions, as written; the same ids.
        metrics: Metrics to compute: keys of `METRICS`.
        document_frequencies: Document frequencies for CIDEr-D; by default the references'.
        training_captions: Known captions (`capgen.metrics.language.known_captions`), for
            the share of novel predictions.
        language: The captions' language as in BCP 47 (`en`, `pt-BR`), for notes on what a metric
            cannot read; empty if unknown.

    Returns:
        Corpus and per-image scores. Except for BLEU and METEOR 1.5, the corpus score is the
        mean of the per-image scores.

    Raises:
        MetricError: The ids differ, an image has no references, or a caption is not a string.
        MissingDependencyError: A metric's official program is not installed.
        UsageError: There is no such metric.
    """
    check_metrics(metrics)
    corpus = Corpus(predictions, references)
    scores, bleu_statistics, meteor_counts = _scores(corpus, metrics, document_frequencies)
    return ScoreReport(
        image_ids=corpus.image_ids,
        corpus={name: value for name, (value, _) in scores.items()},
        per_image={name: values for name, (_, values) in scores.items()},
        bleu_statistics=bleu_statistics,
        meteor_statistics=meteor_counts,
        language=language_statistics(corpus.prediction_tokens, training=training_captions),
        notes=(
            *_notes(corpus, metrics, document_frequencies),
            *_language_notes(corpus, metrics, language),
        ),
        stamp=Stamp(
            images=len(corpus),
            references=len(corpus.reference_tokens),
            references_digest=_digest(references),
            document_frequencies=_frequency_source(corpus, document_frequencies),
            definitions={name: METRICS[name] for name in METRICS if name in metrics},
            versions=_versions(metrics),
        ),
    )


def check_metrics(metrics: Collection[str]) -> None:
    """Check before captioning that metrics exist and can be computed on this machine."""
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"Unknown metric {name!r}", hint=did_you_mean(name, METRICS))
    if "meteor_1_5" in metrics:
        resources.folder()
    if "spice" in metrics:
        official.check_present(official.SPICE_NAME)


def first_use_note(metrics: Collection[str]) -> str | None:
    """Return what to tell a user who must wait because a metric is used for the first time."""
    if "meteor_1_5" in metrics and not are_unpacked():
        return f"First use of {resources.NAME}: unpacking its paraphrases, some 15 seconds"
    return None


def unique_captions(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return captions by image id; raise MetricError if an image occurs twice."""
    captions: dict[str, str] = {}
    for image_id, caption in pairs:
        if image_id in captions:
            raise MetricError(
                f"Two predictions for the image {image_id!r}", hint="Give one caption per image."
            )
        captions[image_id] = caption
    return captions


def _scores(
    corpus: Corpus, metrics: Collection[str], frequencies: DocumentFrequencies | None
) -> tuple[dict[str, tuple[float, Floats]], Integers | None, Integers | None]:
    """Return each metric's score of the corpus and of the images; counts of BLEU and METEOR."""
    scores: dict[str, tuple[float, Floats]] = {}
    statistics = meteor_counts = None
    if "bleu" in metrics:
        statistics = bleu.bleu_statistics(corpus)
        whole, single = bleu.bleu_scores(statistics.sum(axis=0)), bleu.bleu_scores(statistics)
        scores |= zip(bleu.NAMES, zip(whole.tolist(), single.T, strict=True), strict=True)
    means: dict[str, tuple[str, Callable[[], Floats]]] = {
        "rouge_l": (rouge.NAME, lambda: rouge.rouge_l(corpus)),
        "rouge_score": (rouge.GOOGLE_NAME, lambda: rouge.rouge_l_google(corpus)),
        "cider_d": (cider.NAME, lambda: cider.cider_d(corpus, frequencies)),
        "meteor": (meteor.NAME, lambda: meteor.meteor(corpus)),
    }
    for metric, (name, compute) in means.items():
        if metric in metrics:
            values = compute()
            scores[name] = float(np.mean(values)), values
    if "meteor_1_5" in metrics:
        meteor_counts = meteor_1_5.meteor_statistics(corpus)
        whole = meteor_scores(summable(meteor_counts).sum(axis=0))
        scores[resources.NAME] = float(whole), meteor_scores(meteor_counts)
    if "spice" in metrics:
        scores[official.SPICE_NAME] = official.spice(corpus)
    return scores, statistics, meteor_counts


def _digest(references: Mapping[str, Sequence[str]]) -> str:
    """Return a fingerprint of the references, whatever their order."""
    content = json.dumps([[name, sorted(references[name])] for name in sorted(references)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _or_none(value: float) -> float | None:
    """Return None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value


def _frequency_source(corpus: Corpus, table: DocumentFrequencies | None) -> str:
    if table is None:
        return f"references of the {len(corpus)} evaluated images"
    return f"{table.source or 'a saved table'} ({table.documents} images)"


def _notes(
    corpus: Corpus, metrics: Collection[str], table: DocumentFrequencies | None
) -> tuple[str, ...]:
    notes = []
    documents = len(corpus) if table is None else table.documents
    if "cider_d" in metrics and documents == 1:
        notes.append(
            "CIDEr-D is always 0 for a single image, because it weights words by how few images' "
            "references contain them. Score more images, or give document frequencies."
        )
    empty = sum(not line for line in corpus.prediction_tokens)
    if empty:
        notes.append(f"{empty} of {len(corpus)} predictions have no words.")
    mute = sum(not tokens for tokens in corpus.reference_tokens)
    if mute:
        notes.append(f"{mute} of {len(corpus.reference_tokens)} references have no words.")
    return tuple(notes)


def _language_notes(corpus: Corpus, metrics: Collection[str], language: str) -> Iterator[str]:
    """Yield what the metrics cannot read of these references."""
    texts = list(chain.from_iterable(corpus.references))
    unspaced = unspaced_share(texts)
    if unspaced > 0.5:
        yield (
            "The references are in a script without spaces between words, and scores compare what "
            "is between spaces: put spaces between the words of predictions and references."
        )
    plain = ascii_share(texts)
    if "rouge_score" in metrics and 1 - plain > _DROPPED_LETTERS:
        yield (
            f"{rouge.GOOGLE_NAME} reads only the letters a to z, and drops {1 - plain:.0%} of the "
            "references' letters: do not use it here."
        )
    foreign = language and language.split("-")[0].lower() != "en"
    if {"meteor", "meteor_1_5"} & set(metrics) and (foreign or 1 - plain > _DROPPED_LETTERS):
        yield "METEOR's stems and synonyms are English: here it matches little but equal words."


def _versions(metrics: Collection[str]) -> dict[str, str]:
    packages = {
        "rouge_score": ("rouge-score",),
        "meteor": ("nltk",),
        "meteor_1_5": ("nltk", "pycocoevalcap"),
        "spice": ("pycocoevalcap",),
    }
    used = sorted({name for metric in packages if metric in metrics for name in packages[metric]})
    return {"capgen": capgen.__version__} | {
        package: importlib.metadata.version(package) for package in used
    }
