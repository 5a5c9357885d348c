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
import capgen.metrics.chair as chair
import capgen.metrics.cider as cider
import capgen.metrics.meteor as meteor
import capgen.metrics.n_best as n_best
import capgen.metrics.official as official
import capgen.metrics.rouge as rouge
from capgen.errors import MetricError, UsageError, did_you_mean
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.corpus import Corpus, Floats, Integers
from capgen.metrics.evidence import Evidence, evidence_notes, evidence_scores
from capgen.metrics.language import LanguageStatistics, language_statistics
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
    "meteor_1_5": "METEOR 1.5 by its own program, through pycocoevalcap and Java",
    "spice": "SPICE by its own program, through pycocoevalcap and Java",
    "spider": "mean of SPICE and CIDEr-D (Liu et al. 2017)",
    "cider": "CIDEr of Vedantam et al. 2015, equation 2: 0 to 1, without CIDEr-D's clipping, "
    "length penalty and factor of 10; words are not stemmed",
    "cider_r": "CIDEr-R of Santos et al. 2021 (exponents 0.8 for repetition, 0.2 for length)",
    "clipscore": "CLIPScore and RefCLIPScore of Hessel et al. 2021 (w = 2.5, 'A photo depicts')",
    "chair": "CHAIRi and CHAIRs of Rohrbach et al. 2018",
    "diversity": "over the captions of each image: self-CIDEr of Wang and Chan 2019 with CIDEr-D, "
    "mean BLEU-4 with the others, distinct-1 and -2",
}
_PROGRAMS = {
    "meteor_1_5": official.METEOR_NAME,
    "spice": official.SPICE_NAME,
    "spider": official.SPICE_NAME,
}
SPIDER_NAME = "SPIDEr"
# Of every other score more is better.
LOWER_IS_BETTER = frozenset([chair.INSTANCES_NAME, chair.SENTENCES_NAME, n_best.MBLEU_NAME])
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
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """Scores of a set of captions.

    Attributes:
        image_ids: The images, in the order of the predictions.
        corpus: Name → score of the whole set.
        per_image: Name → (images,) scores in the order of `image_ids`.
        bleu_statistics: (images, 10) counts, see `capgen.metrics.bleu`; None without BLEU.
            A corpus BLEU is not the mean of its images': the bootstrap needs these.
        ratios: Name → (images, 2) numerators and denominators of scores whose corpus score is
            the ratio of the sums.
        language: Length, vocabulary and variety of the predictions.
        notes: Caveats about the numbers, as sentences.
        stamp: How the numbers were computed.
    """

    image_ids: tuple[str, ...]
    corpus: Mapping[str, float]
    per_image: Mapping[str, Floats]
    bleu_statistics: Integers | None = field(default=None, repr=False)
    ratios: Mapping[str, Integers] = field(default_factory=dict, repr=False)
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
    evidence: Evidence | None = None,
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
        evidence: What `clipscore`, `chair` and `diversity` need besides.

    Returns:
        Corpus and per-image scores. Except for BLEU, METEOR 1.5 and CHAIRi, the corpus score is
        the mean of the per-image scores.

    Raises:
        MetricError: The ids differ, an image has no references, or a caption is not a string.
        MissingDependencyError: A metric's official program is not installed.
        UsageError: There is no such metric.
    """
    check_metrics(metrics)
    corpus = Corpus(predictions, references)
    evidence = evidence or Evidence()
    scores, bleu_statistics = _scores(corpus, metrics, document_frequencies)
    more, ratios = evidence_scores(corpus, metrics, evidence, document_frequencies)
    scores |= more
    return ScoreReport(
        image_ids=corpus.image_ids,
        corpus={name: value for name, (value, _) in scores.items()},
        per_image={name: values for name, (_, values) in scores.items()},
        bleu_statistics=bleu_statistics,
        ratios=ratios,
        language=language_statistics(
            corpus.prediction_tokens,
            training=training_captions,
            references=corpus.reference_tokens,
        ),
        notes=(
            *_notes(corpus, metrics, document_frequencies),
            *_language_notes(corpus, metrics, language),
            *evidence_notes(corpus, metrics, evidence),
        ),
        stamp=Stamp(
            images=len(corpus),
            references=len(corpus.reference_tokens),
            references_digest=_digest(references),
            document_frequencies=_frequency_source(corpus, document_frequencies),
            definitions={name: METRICS[name] for name in METRICS if name in metrics},
            versions=_versions(metrics),
            evidence=evidence.sources(metrics),
        ),
    )


def check_metrics(metrics: Collection[str]) -> None:
    """Check before captioning that metrics exist and can be computed on this machine."""
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"Unknown metric {name!r}", hint=did_you_mean(name, METRICS))
    for name, program in _PROGRAMS.items():
        if name in metrics:
            official.check_present(program)


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
) -> tuple[dict[str, tuple[float, Floats]], Integers | None]:
    """Return the corpus score and the per-image scores of each metric, and BLEU's counts."""
    scores: dict[str, tuple[float, Floats]] = {}
    statistics = None
    if "bleu" in metrics:
        statistics = bleu.bleu_statistics(corpus)
        whole, single = bleu.bleu_scores(statistics.sum(axis=0)), bleu.bleu_scores(statistics)
        scores |= zip(bleu.NAMES, zip(whole.tolist(), single.T, strict=True), strict=True)
    means: dict[str, tuple[str, Callable[[], Floats]]] = {
        "rouge_l": (rouge.NAME, lambda: rouge.rouge_l(corpus)),
        "rouge_score": (rouge.GOOGLE_NAME, lambda: rouge.rouge_l_google(corpus)),
        "cider_d": (cider.NAME, lambda: cider.cider_d(corpus, frequencies)),
        "cider": (cider.PLAIN_NAME, lambda: cider.cider(corpus, frequencies)),
        "cider_r": (cider.ROBUST_NAME, lambda: cider.cider_r(corpus, frequencies)),
        "meteor": (meteor.NAME, lambda: meteor.meteor(corpus)),
    }
    for metric, (name, compute) in means.items():
        if metric in metrics:
            values = compute()
            scores[name] = float(np.mean(values)), values
    if "meteor_1_5" in metrics:
        scores[official.METEOR_NAME] = official.meteor_1_5(corpus)
    if "spice" in metrics or "spider" in metrics:
        whole_spice, spice = official.spice(corpus)
        if "spice" in metrics:
            scores[official.SPICE_NAME] = whole_spice, spice
        if "spider" in metrics:
            values = cider.cider_d(corpus, frequencies)
            whole_mean = (whole_spice + float(np.mean(values))) / 2
            scores[SPIDER_NAME] = whole_mean, (spice + values) / 2
    return scores, statistics


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
        "rouge_score": "rouge-score",
        "meteor": "nltk",
        "meteor_1_5": "pycocoevalcap",
        "spice": "pycocoevalcap",
        "spider": "pycocoevalcap",
    }
    used = sorted({package for metric, package in packages.items() if metric in metrics})
    return {"capgen": capgen.__version__} | {
        package: importlib.metadata.version(package) for package in used
    }
