"""The result of an evaluation."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from capgen.config import EvalConfig
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.metrics.bootstrap import Interval
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.evidence import Evidence
from capgen.metrics.score_report import ScoreReport
from capgen.records import SCHEMA_VERSION, Caption, CaptionFailure


def others(record: Caption) -> tuple[str, ...]:
    """Return the texts of a record's further captions."""
    return tuple(other.text for other in record.alternatives)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Captions of a split and their scores.

    Attributes:
        system: What made the captions, from `System.describe`.
        data: The images and references.
        captions: Image → caption, for the images that were scored.
        records: Image → the model's record; empty for predictions from a file.
        failures: Image → why it has no caption; such images are not scored.
        scores: The scores.
        intervals: Metric → bootstrap interval of its corpus score.
        config: The evaluation settings.
        document_frequencies: The table that CIDEr-D used, if any.
        evidence: What some metrics used besides captions and references.
    """

    system: Mapping[str, Any]
    data: EvaluationSet
    captions: Mapping[str, str] = field(repr=False)
    records: Mapping[str, Caption] = field(default_factory=dict, repr=False)
    failures: Mapping[str, CaptionFailure] = field(default_factory=dict)
    scores: ScoreReport
    intervals: Mapping[str, Interval]
    config: EvalConfig
    document_frequencies: DocumentFrequencies | None = field(default=None, repr=False)
    evidence: Evidence = field(default_factory=Evidence, repr=False)

    @property
    def name(self) -> str:
        """The name of the system that made the captions."""
        return str(self.system["name"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats about the numbers, as sentences."""
        total, scored, failed = len(self.data.examples), len(self.captions), len(self.failures)
        if total == scored:
            return self.scores.notes
        reasons = [f"{failed:,} have no caption"] if failed else []
        if failed < total - scored:
            reasons.append(f"{total - scored - failed:,} have no caption by the other system")
        note = f"Scores are over {scored:,} of {total:,} images: {', '.join(reasons)}."
        return (note, *self.scores.notes)

    @property
    def captions_per_image(self) -> float:
        """How many captions there are for an image, on average, further ones included."""
        further = self.evidence.alternatives
        return 1 + sum(len(further.get(name, ())) for name in self.captions) / len(self.captions)

    def of(self, image_id: str) -> dict[str, float]:
        """Return the scores of one image, by metric."""
        index = self.scores.image_ids.index(image_id)
        return {name: float(values[index]) for name, values in self.scores.per_image.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; the same captions give the same record."""
        scores = self.scores.to_dict()
        alternatives = self.evidence.alternatives
        images = [
            {
                "image_id": (image_id := row.pop("image_id")),
                "caption": caption,
                **({"alternatives": list(said)} if (said := alternatives.get(image_id)) else {}),
                "scores": row,
            }
            for row, caption in zip(scores["images"], self.captions.values(), strict=True)
        ]
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "evaluation",
            "system": dict(self.system),
            "data": self.data.to_dict(),
            "config": {key: getattr(self.config, key) for key in self._settings},
            "corpus": scores["corpus"],
            "intervals": {name: item.to_dict() for name, item in self.intervals.items()},
            "language": scores["language"],
            "notes": list(self.notes),
            "left_out": scores["left_out"],
            "failed_metrics": scores["failed_metrics"],
            "stamp": {**scores["stamp"], "versions": self._versions()},
            "images": images,
            "failures": [
                {"image_id": image_id, **failure.to_dict()}
                for image_id, failure in self.failures.items()
            ],
        }

    @property
    def _settings(self) -> tuple[str, ...]:
        clip = ("clip_model",) if "clipscore" in self.config.metric_names else ()
        bert = ("bert_model", "bert_layer") if "bertscore" in self.config.metric_names else ()
        return ("resamples", "report_seed", *clip, *bert)

    def _versions(self) -> dict[str, str]:
        engine = {"onnx": "onnxruntime", "torch": "torch"}.get(self.system.get("runtime", ""))
        packages = ["numpy", *([engine] if engine else [])]
        versions = {name: importlib.metadata.version(name) for name in packages}
        return {**self.scores.stamp.versions, **versions, "python": platform.python_version()}
