"""Evaluation of captioners: scores on a split, comparisons, reports.

`capgen.evaluate` and `capgen.compare` do it in one call.

evaluation_set  images with references, found under the names that predictions use
predictions     files of captions made elsewhere
systems         what produces captions: a model or a predictions file
evidence        what some metrics need besides (clip_features, bert_scores: of models,
                whose kept_vectors are computed once)
evaluate        runs a system over a split and scores it; yields typed events
compare         two evaluations over the same images
chosen_images   which images a report shows
report          the HTML report
calibration     fits a model's confidence on a data set
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

if TYPE_CHECKING:
    from capgen.config import EvalConfig
    from capgen.evaluation.compare import Comparison
    from capgen.evaluation.evaluate import evaluation_events
    from capgen.evaluation.evaluation_set import EvaluationSet, read_references
    from capgen.evaluation.events import (
        EvaluationFinished,
        FeaturesComputed,
        ImageCaptioned,
        ImageFailed,
        ScoringStarted,
    )
    from capgen.evaluation.predictions import Predictions, read_predictions
    from capgen.evaluation.report import write_report
    from capgen.evaluation.result import Evaluation
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.config": ("EvalConfig",),
            "capgen.evaluation.compare": ("Comparison",),
            "capgen.evaluation.evaluate": ("evaluation_events",),
            "capgen.evaluation.evaluation_set": ("EvaluationSet", "read_references"),
            "capgen.evaluation.events": (
                "EvaluationFinished",
                "FeaturesComputed",
                "ImageCaptioned",
                "ImageFailed",
                "ScoringStarted",
            ),
            "capgen.evaluation.predictions": ("Predictions", "read_predictions"),
            "capgen.evaluation.report": ("write_report",),
            "capgen.evaluation.result": ("Evaluation",),
        },
    )

__all__ = [
    "Comparison",
    "EvalConfig",
    "Evaluation",
    "EvaluationFinished",
    "EvaluationSet",
    "FeaturesComputed",
    "ImageCaptioned",
    "ImageFailed",
    "Predictions",
    "ScoringStarted",
    "evaluation_events",
    "read_predictions",
    "read_references",
    "write_report",
]
