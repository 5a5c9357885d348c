"""Score captions; the entry point to the metrics."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

import capgen.metrics.cider as cider
from capgen.config.evaluation import JavaLimits
from capgen.errors import MetricError
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.compute import compute
from capgen.metrics.corpus import Corpus, Floats, check_captions
from capgen.metrics.definitions import DEFAULT_METRICS, METRICS, check_names, package_versions
from capgen.metrics.evidence import Evidence, evidence_notes
from capgen.metrics.language import language_statistics
from capgen.metrics.meteor_1_5 import resources
from capgen.metrics.meteor_1_5.paraphrases import are_unpacked
from capgen.metrics.programs import nothing_computed, program_failures, sentence
from capgen.metrics.readable import language_notes, unreadable
from capgen.metrics.score_report import ScoreReport, Stamp, left_out_notes
from capgen.metrics.tokenizers import AUTO, Tokenizer, choose

_CIDERS = {"cider_d": cider.NAME, "cider": cider.PLAIN_NAME, "cider_r": cider.ROBUST_NAME}


def score_captions(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    *,
    metrics: Collection[str] = DEFAULT_METRICS,
    document_frequencies: DocumentFrequencies | None = None,
    training_captions: frozenset[str] | None = None,
    language: str = "",
    tokenizer: str = AUTO,
    evidence: Evidence | None = None,
) -> ScoreReport:
    """Score one caption per image against the image's references.

    Args:
        predictions: Image id → caption, as generated.
        references: Image id → human captions, as written; the same ids.
        metrics: Metrics to compute: keys of `capgen.metrics.definitions.METRICS`.
        document_frequencies: Document frequencies for CIDEr-D and its relatives; by default the
            references'.
        training_captions: Known captions (`capgen.metrics.language.known_captions`), for
            the share of novel predictions.
        language: The captions' language as in BCP 47 (`en`, `pt-BR`). Metrics that cannot read it
            are left out. If it is empty (unknown), none are.
        tokenizer: A choice of `EvalConfig.tokenizer`; by default what suits the references.
        evidence: What `clipscore`, `bertscore`, `chair`, `diversity` and official programs need
            besides.

    Returns:
        Corpus and per-image scores. Except for BLEU, METEOR 1.5 and CHAIRi, the corpus score is
        the mean of the per-image scores. A metric is left out if its official program fails,
        or if what it needs besides is missing.

    Raises:
        MetricError: The ids differ, an image has no references, a caption is not a string,
            or none of the metrics can be computed.
        MissingDependencyError: The only metric's official program is not installed.
        UsageError: There is no such metric.
    """
    check_names(metrics)
    check_captions(predictions, references)
    evidence = evidence or Evidence()
    texts = list(chain.from_iterable(references.values()))
    chosen = choose(tokenizer, language, texts)
    check_frequencies(document_frequencies, chosen)
    corpus = Corpus(predictions, references, chosen)
    failed = {name: evidence.unavailable[name] for name in metrics if name in evidence.unavailable}
    left_out = failed | unreadable([m for m in metrics if m not in failed], language, texts)
    read = [name for name in metrics if name not in left_out]
    computed = compute(corpus, read, document_frequencies, evidence)
    if not computed.scores:
        raise nothing_computed(left_out, computed.failures)
    names = [name for name in read if name not in computed.failures]
    left_out |= {name: sentence(error) for name, error in computed.failures.items()}
    return ScoreReport(
        image_ids=corpus.image_ids,
        corpus={
            name: value for name, (value, _) in computed.scores.items() if not math.isnan(value)
        },
        per_image={name: values for name, (_, values) in computed.scores.items()},
        bleu_statistics=computed.counts.get("bleu"),
        meteor_statistics=computed.counts.get("meteor_1_5"),
        ratios=computed.ratios,
        language=language_statistics(
            corpus.prediction_tokens,
            training=training_captions,
            references=corpus.reference_tokens,
        ),
        left_out=left_out,
        failed=(*failed, *computed.failures),
        notes=(
            *_notes(corpus, names, document_frequencies),
            *_undefined(computed.scores),
            *language_notes(names, language, texts, chosen),
            *evidence_notes(corpus, names, evidence, computed.ratios),
            *left_out_notes(left_out),
        ),
        stamp=Stamp(
            tokenizer=chosen.name,
            tokenizer_version=chosen.version,
            images=len(corpus),
            references=len(corpus.reference_tokens),
            references_digest=_digest(references),
            document_frequencies=_frequency_source(corpus, document_frequencies),
            definitions={name: METRICS[name] for name in METRICS if name in names},
            versions=package_versions(names),
            tokenizer_key=chosen.key,
            language=language,
            captions_digest=_digest({name: [text] for name, text in predictions.items()}),
            frequencies_digest="" if document_frequencies is None else document_frequencies.digest,
            evidence=evidence.sources(names),
        ),
    )


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


def first_use_note(metrics: Collection[str]) -> str | None:
    """Return what to tell a user who must wait because a metric is used for the first time."""
    if "meteor_1_5" in metrics and not are_unpacked():
        return f"First use of {resources.NAME}: unpacking its paraphrases, some 15 seconds"
    return None


def unique_captions(pairs: Iterable[tuple[str, str]], source: str = "") -> dict[str, str]:
    """Return captions by image id.

    Args:
        pairs: Image id and caption.
        source: Where they are from, for messages.

    Raises:
        MetricError: An image occurs twice.
    """
    captions: dict[str, str] = {}
    for image_id, caption in pairs:
        if image_id in captions:
            two = f"{source}: two" if source else "Two"
            raise MetricError(
                f"{two} predictions for the image {image_id!r}", hint="Give one caption per image."
            )
        captions[image_id] = caption
    return captions


def _digest(references: Mapping[str, Sequence[str]]) -> str:
    """Return a fingerprint of the references, whatever their order."""
    content = json.dumps([[name, sorted(references[name])] for name in sorted(references)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _frequency_source(corpus: Corpus, table: DocumentFrequencies | None) -> str:
    if table is None:
        return f"references of the {len(corpus)} evaluated images"
    return f"{table.source or 'a saved table'} ({table.documents} images)"


def _undefined(scores: Mapping[str, tuple[float, Floats]]) -> Iterator[str]:
    """Yield a note for each score that SPICE's program gives no value of, for some image."""
    for name, (_, values) in scores.items():
        count = int(np.isnan(values).sum())
        if count:
            yield (
                f"{name} has no value for {count} of {len(values)} images, where there is nothing "
                "to compare, and so there is none of all images."
            )


def _notes(
    corpus: Corpus, metrics: Collection[str], table: DocumentFrequencies | None
) -> Iterator[str]:
    documents = len(corpus) if table is None else table.documents
    named = [name for metric, name in _CIDERS.items() if metric in metrics]
    if named and documents == 1:
        yield (
            f"{' and '.join(named)} {'is' if len(named) == 1 else 'are'} always 0 for a single "
            "image, because words are weighted by how few images' references contain them. Score "
            "more images, or give document frequencies."
        )
    empty = sum(not line for line in corpus.prediction_tokens)
    if empty:
        yield f"{empty} of {len(corpus)} predictions have no words."
    mute = sum(not tokens for tokens in corpus.reference_tokens)
    if mute:
        yield f"{mute} of {len(corpus.reference_tokens)} references have no words."
