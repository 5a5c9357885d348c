"""Computes metrics of a corpus; one that fails costs no other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np

import capgen.metrics.bleu as bleu
import capgen.metrics.cider as cider
import capgen.metrics.meteor as meteor
import capgen.metrics.meteor_1_5.score as meteor_1_5
import capgen.metrics.official as official
import capgen.metrics.rouge as rouge
from capgen.errors import CapgenError
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.corpus import Corpus, Floats, Integers
from capgen.metrics.definitions import SPIDER_NAME
from capgen.metrics.evidence import Evidence, evidence_scores
from capgen.metrics.meteor_1_5 import resources
from capgen.metrics.meteor_1_5.statistics import scores as meteor_scores
from capgen.metrics.meteor_1_5.statistics import summable


@dataclass(frozen=True, kw_only=True)
class Computed:
    """What came of computing metrics.

    Attributes:
        scores: Name → score of the corpus, and (images,) scores, in the order of tables.
        counts: `bleu` and `meteor_1_5` → (images, …) counts that their scores come from.
        ratios: As in `ScoreReport`.
        failures: Metric → its error, of those that need a program or data of others.
    """

    scores: dict[str, tuple[float, Floats]] = field(default_factory=dict)
    counts: dict[str, Integers] = field(default_factory=dict)
    ratios: dict[str, Integers] = field(default_factory=dict)
    failures: dict[str, CapgenError] = field(default_factory=dict)


def compute(
    corpus: Corpus,
    metrics: Collection[str],
    frequencies: DocumentFrequencies | None,
    evidence: Evidence,
) -> Computed:
    """Compute metrics.

    Args:
        corpus: The captions.
        metrics: Keys of `capgen.metrics.definitions.METRICS`.
        frequencies: Document frequencies; by default the references'.
        evidence: What some metrics need besides.

    Raises:
        MetricError: What `clipscore`, `bertscore` or `diversity` needs is missing.
    """
    computed = Computed()
    scores = computed.scores
    if "bleu" in metrics:
        computed.counts["bleu"] = statistics = bleu.bleu_statistics(corpus)
        whole, single = bleu.bleu_scores(statistics.sum(axis=0)), bleu.bleu_scores(statistics)
        scores.update(zip(bleu.NAMES, zip(whole.tolist(), single.T, strict=True), strict=True))
    means: dict[str, tuple[str, Callable[[], Floats]]] = {
        "rouge_l": (rouge.NAME, lambda: rouge.rouge_l(corpus)),
        "rouge_score": (rouge.GOOGLE_NAME, lambda: rouge.rouge_l_google(corpus)),
        "cider_d": (cider.NAME, lambda: cider.cider_d(corpus, frequencies)),
        "cider": (cider.PLAIN_NAME, lambda: cider.cider(corpus, frequencies)),
        "cider_r": (cider.ROBUST_NAME, lambda: cider.cider_r(corpus, frequencies)),
        "meteor": (meteor.NAME, lambda: meteor.meteor(corpus)),
    }
    for metric, (name, values_of) in means.items():
        if metric in metrics:
            values = values_of()
            scores[name] = float(np.mean(values)), values
    if "meteor_1_5" in metrics:
        _meteor_1_5(corpus, computed)
    if "spice" in metrics or "spider" in metrics:
        _spice_and_spider(corpus, metrics, frequencies, evidence, computed)
    more, ratios = evidence_scores(corpus, metrics, evidence, frequencies)
    scores.update(more)
    computed.ratios.update(ratios)
    return computed


def _meteor_1_5(corpus: Corpus, computed: Computed) -> None:
    try:
        statistics = meteor_1_5.meteor_statistics(corpus)
    except CapgenError as error:
        computed.failures["meteor_1_5"] = error
        return
    computed.counts["meteor_1_5"] = statistics
    total = meteor_scores(summable(statistics).sum(axis=0))
    computed.scores[resources.NAME] = float(total), meteor_scores(statistics)


def _spice_and_spider(
    corpus: Corpus,
    metrics: Collection[str],
    frequencies: DocumentFrequencies | None,
    evidence: Evidence,
    computed: Computed,
) -> None:
    """Compute both, or one of them, from one run of SPICE."""
    try:
        whole, spice = official.spice(corpus, evidence.java)
    except CapgenError as error:
        failed = (name for name in ("spice", "spider") if name in metrics)
        computed.failures.update((name, error) for name in failed)
        return
    if "spice" in metrics:
        computed.scores[official.SPICE_NAME] = whole, spice
    if "spider" in metrics:
        known = computed.scores.get(cider.NAME)
        values = cider.cider_d(corpus, frequencies) if known is None else known[1]
        spider = (whole + float(np.mean(values))) / 2
        computed.scores[SPIDER_NAME] = spider, (spice + values) / 2
