"""What some metrics need besides one caption and the references of each image."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import capgen.metrics.bertscore as bertscore
import capgen.metrics.chair as chair
import capgen.metrics.clipscore as clipscore
import capgen.metrics.n_best as n_best
from capgen.config.evaluation import JavaLimits
from capgen.errors import MetricError
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.corpus import Corpus, Floats, Integers

# In the order of tables.
EVIDENCE_METRICS = ("clipscore", "bertscore", "chair", "diversity")
# Of the scores, in tables.
_ORDER = (
    *(clipscore.NAME, clipscore.REFERENCE_NAME, *bertscore.NAMES),
    *(chair.INSTANCES_NAME, chair.SENTENCES_NAME),
    *(n_best.SELF_CIDER_NAME, n_best.MBLEU_NAME, *n_best.DISTINCT_NAMES),
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What some metrics need besides captions and references.

    What is by image id may be of more images than are scored.

    Attributes:
        alternatives: Image id → further captions of it, for `diversity`.
        objects: What there is in the images, for `chair`; by default what references name.
        features: What a CLIP makes of images and captions, for `clipscore`.
        matches: How captions match their references in a BERT, for `bertscore`.
        java: How long the official programs may take.
        unavailable: Metric → why it cannot be computed, as a sentence, where that is known
            beforehand.
    """

    alternatives: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    objects: chair.SceneObjects | None = None
    features: clipscore.ClipFeatures | None = None
    matches: bertscore.BertScores | None = None
    java: JavaLimits = field(default_factory=JavaLimits)
    unavailable: Mapping[str, str] = field(default_factory=dict)

    def sources(self, metrics: Collection[str]) -> dict[str, str]:
        """Return what each metric used, for reports."""
        sources = {}
        if "clipscore" in metrics and self.features is not None:
            sources["clipscore"] = self.features.model
        if "bertscore" in metrics and self.matches is not None:
            sources["bertscore"] = self.matches.model
        if "chair" in metrics:
            scene = self.objects or chair.SceneObjects(table=chair.coco_objects())
            annotations = scene.source or "no annotations"
            sources["chair"] = f"{scene.table.source}; {annotations}"
        return sources


def evidence_scores(
    corpus: Corpus,
    metrics: Collection[str],
    evidence: Evidence,
    frequencies: DocumentFrequencies | None,
) -> tuple[dict[str, tuple[float, Floats]], dict[str, Integers]]:
    """Return the scores that need evidence, and the counts of those that are ratios of sums.

    Returns:
        Name → score of the corpus, and (images,) scores; name → (images, 2) numerators and
        denominators.

    Raises:
        MetricError: What a metric needs is missing.
    """
    means: dict[str, Floats] = {}
    scores: dict[str, tuple[float, Floats]] = {}
    ratios: dict[str, Integers] = {}
    if "diversity" in metrics:
        means |= n_best.n_best_scores(corpus, evidence.alternatives, frequencies)
    if "clipscore" in metrics:
        if evidence.features is None:
            raise MetricError(
                "CLIPScore needs what a CLIP makes of the images, and only captions are given",
                hint="Use `capgen eval`, or `capgen.evaluate` with a data set.",
            )
        means |= clipscore.clip_scores(corpus, evidence.features)
    if "bertscore" in metrics:
        if evidence.matches is None:
            raise MetricError(
                "BERTScore needs what a BERT makes of the captions, and only captions are given",
                hint="Use `capgen eval`, or `capgen.evaluate`.",
            )
        means |= bertscore.bert_scores(corpus, evidence.matches)
    if "chair" in metrics:
        scene = evidence.objects or chair.SceneObjects(table=chair.coco_objects())
        counts = chair.chair(corpus, scene)
        ratios[chair.INSTANCES_NAME] = counts
        scores[chair.INSTANCES_NAME] = float(_ratios(counts.sum(axis=0))), _ratios(counts)
        means[chair.SENTENCES_NAME] = (counts[:, 0] > 0).astype(float)
    scores |= {name: (float(rows.mean()), rows) for name, rows in means.items()}
    return dict(sorted(scores.items(), key=lambda item: _ORDER.index(item[0]))), ratios


def evidence_notes(
    corpus: Corpus,
    metrics: Collection[str],
    evidence: Evidence,
    ratios: Mapping[str, Integers],
) -> list[str]:
    """Return caveats about these scores, as sentences; `ratios` are those of `evidence_scores`."""
    notes = []
    if "diversity" in metrics:
        alone = sum(not evidence.alternatives.get(image_id) for image_id in corpus.image_ids)
        if alone:
            notes.append(f"{alone} of {len(corpus)} images have only one caption: no diversity.")
    if "chair" in metrics:
        if not ratios[chair.INSTANCES_NAME][:, 1].any():
            notes.append("No caption names an object of the table, so CHAIR is 0 and says nothing.")
        annotated = evidence.objects.present if evidence.objects else None
        if annotated is None:
            notes.append(
                "CHAIR takes what the references name for all that there is. With --instances it "
                "also knows what annotations mark, as in the paper, and is lower."
            )
        else:
            bare = sum(image_id not in annotated for image_id in corpus.image_ids)
            if bare:
                notes.append(
                    f"{bare} of {len(corpus)} images have no annotated objects: there CHAIR knows "
                    "only what the references name."
                )
    return notes


def _ratios(counts: Integers) -> Floats:
    ratios: Floats = counts[..., 0] / counts[..., 1].clip(1)
    return ratios
