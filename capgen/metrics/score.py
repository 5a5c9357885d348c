"""Score captions; the entry point to the metrics."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
from capgen.config.evaluation import JavaLimits
from capgen.errors import CapgenError, MetricError, UsageError, did_you_mean
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.corpus import Corpus, Floats, Integers, check_captions
from capgen.metrics.language import LanguageStatistics, language_statistics
from capgen.metrics.meteor_1_5 import resources
from capgen.metrics.meteor_1_5.statistics import scores as meteor_scores
from capgen.metrics.meteor_1_5.statistics import summable
from capgen.metrics.programs import (
    nothing_computed,
    program_failures,
    sentence,
)
from capgen.metrics.ptb.tokenizer import TOKENIZER, TOKENIZER_VERSION
from capgen.metrics.readable import language_notes, unreadable
from capgen.metrics.tokenizers import AUTO, PTB, Tokenizer, choose

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
        tokenizer_key: The tokenizer as `--tokenizer` calls it.
        language: The captions' language as in BCP 47; empty if unknown.
        language_source: Where that is from: `given`, or a guess, for example.
        captions_digest: Fingerprint of the predictions and the ids of their images.
        frequencies_digest: Fingerprint of a table of document frequencies; empty without one.
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

    def line(self) -> str:
        """Return in one line what the scores depend on, for every table of them."""
        each = self.references / self.images
        references = f"{self.references:,} references ({each:.3g} each)"
        source = f" ({self.language_source})" if self.language_source else ""
        language = f"; language: {self.language}{source}" if self.language else ""
        return (
            f"{self.images:,} images, {references}{language}; tokens: {self.tokenizer}; document "
            f"frequencies: {self.document_frequencies}"
        )


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
    language: LanguageStatistics
    notes: tuple[str, ...] = ()
    stamp: Stamp
    left_out: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()

    def without(self, reasons: Mapping[str, str]) -> ScoreReport:
        """Return the report with metrics that failed before it was made, and the reasons."""
        return dataclasses.replace(
            self,
            left_out={**reasons, **self.left_out},
            failed=(*reasons, *self.failed),
            notes=(*self.notes, *left_out_notes(reasons)),
        )

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
            "left_out": dict(self.left_out),
            "failed_metrics": list(self.failed),
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
    tokenizer: str = AUTO,
    java: JavaLimits | None = None,
) -> ScoreReport:
    """Score one caption per image against the image's references.

    Args:
        predictions: Image id → caption, as generated.
        references: Image id → human captions, as written; the same ids.
        metrics: Metrics to compute: keys of `METRICS`.
        document_frequencies: Document frequencies for CIDEr-D; by default the references'.
        training_captions: Known captions (`capgen.metrics.language.known_captions`), for
            the share of novel predictions.
        language: The captions' language as in BCP 47 (`en`, `pt-BR`). Metrics that cannot read it
            are left out. If it is empty (unknown), none are.
        tokenizer: A choice of `EvalConfig.tokenizer`; by default what suits the references.
        java: How long the official programs may take.

    Returns:
        Corpus and per-image scores. Except for BLEU and METEOR 1.5, the corpus score is the
        mean of the per-image scores. A metric whose official program fails is left out.

    Raises:
        MetricError: The ids differ, an image has no references, or a caption is not a string; or
            none of the metrics can be computed.
        MissingDependencyError: The only metric's official program is not installed.
        UsageError: There is no such metric.
    """
    check_names(metrics)
    check_captions(predictions, references)
    texts = list(chain.from_iterable(references.values()))
    chosen = choose(tokenizer, language, texts)
    check_frequencies(document_frequencies, chosen)
    corpus = Corpus(predictions, references, chosen)
    left_out = unreadable(metrics, language, texts)
    read = [name for name in metrics if name not in left_out]
    scores, counts, failures = _scores(corpus, read, document_frequencies, java)
    if not scores:
        raise nothing_computed(left_out, failures)
    computed = [name for name in read if name not in failures]
    left_out |= {name: sentence(error) for name, error in failures.items()}
    return ScoreReport(
        image_ids=corpus.image_ids,
        corpus={name: value for name, (value, _) in scores.items()},
        per_image={name: values for name, (_, values) in scores.items()},
        bleu_statistics=counts.get("bleu"),
        meteor_statistics=counts.get("meteor_1_5"),
        language=language_statistics(corpus.prediction_tokens, training=training_captions),
        left_out=left_out,
        failed=tuple(failures),
        notes=(
            *_notes(corpus, computed, document_frequencies),
            *language_notes(computed, language, texts, chosen),
            *left_out_notes(left_out),
        ),
        stamp=Stamp(
            tokenizer=chosen.name,
            tokenizer_version=chosen.version,
            images=len(corpus),
            references=len(corpus.reference_tokens),
            references_digest=_digest(references),
            document_frequencies=_frequency_source(corpus, document_frequencies),
            definitions={name: METRICS[name] for name in METRICS if name in computed},
            versions=_versions(computed),
            tokenizer_key=chosen.key,
            language=language,
            captions_digest=_digest({name: [text] for name, text in predictions.items()}),
            frequencies_digest="" if document_frequencies is None else document_frequencies.digest,
        ),
    )


def left_out_notes(reasons: Mapping[str, str]) -> list[str]:
    """Return the notes on metrics that are left out, given the reason of each."""
    return [f"{name} is left out: {reason}" for name, reason in reasons.items()]


def check_frequencies(table: DocumentFrequencies | None, tokenizer: Tokenizer) -> None:
    """Check that document frequencies are of the tokens that captions are compared by.

    Raises:
        MetricError: Another tokenizer made them.
    """
    if table is not None and table.tokenizer != tokenizer.name:
        raise MetricError(
            f"The document frequencies are of other tokens ({table.tokenizer}) than the scores "
            f"({tokenizer.name})",
            hint="Choose the table's with --tokenizer, or leave the table out.",
        )


def check_metrics(metrics: Collection[str], java: JavaLimits | None = None) -> dict[str, str]:
    """Check before captioning that metrics exist and can be computed on this machine.

    Returns:
        The metrics whose official programs cannot run, each with the reason.

    Raises:
        MetricError: None of the metrics can be computed.
        MissingDependencyError: The only metric's official program is not installed.
        UsageError: There is no such metric.
    """
    check_names(metrics)
    failures = program_failures(metrics, java)
    if len(failures) == len(set(metrics)):
        raise nothing_computed({}, failures)
    return {name: sentence(error) for name, error in failures.items()}


def check_names(metrics: Collection[str]) -> None:
    """Check that there are metrics of these names; raise UsageError for one that is not."""
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"Unknown metric {name!r}", hint=did_you_mean(name, METRICS))


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
    corpus: Corpus,
    metrics: Collection[str],
    frequencies: DocumentFrequencies | None,
    java: JavaLimits | None,
) -> tuple[dict[str, tuple[float, Floats]], dict[str, Integers], dict[str, CapgenError]]:
    """Return each metric's scores by name, counts of BLEU and METEOR 1.5, and what failed."""
    scores: dict[str, tuple[float, Floats]] = {}
    counts: dict[str, Integers] = {}
    if "bleu" in metrics:
        counts["bleu"] = statistics = bleu.bleu_statistics(corpus)
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
    # The other metrics are of use without those that need a program or data of others.
    failures: dict[str, CapgenError] = {}
    if "meteor_1_5" in metrics:
        try:
            counts["meteor_1_5"] = statistics = meteor_1_5.meteor_statistics(corpus)
            total = meteor_scores(summable(statistics).sum(axis=0))
            scores[resources.NAME] = float(total), meteor_scores(statistics)
        except CapgenError as error:
            failures["meteor_1_5"] = error
    if "spice" in metrics:
        try:
            scores[official.SPICE_NAME] = official.spice(corpus, java)
        except CapgenError as error:
            failures["spice"] = error
    return scores, counts, failures


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
