"""Caption metrics, equal to the official COCO scorers without Java.

    from capgen.metrics import score_captions

    report = score_captions({"1": "a dog runs"}, {"1": ["a dog is running", "the dog runs"]})
    print(report.corpus["CIDEr-D"])

score      scores captions; the entry point
bootstrap  intervals, paired comparison
corpus     captions, tokenized and counted once
ptb        the Penn Treebank tokenizer
bleu, rouge, cider, meteor (synonyms), language
evidence   what clipscore, chair and n_best need besides captions and references
official   METEOR 1.5 and SPICE through pycocoevalcap and Java, if installed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

if TYPE_CHECKING:
    from capgen.metrics.bootstrap import Difference, Interval, confidence_intervals
    from capgen.metrics.evidence import Evidence
    from capgen.metrics.language import LanguageStatistics
    from capgen.metrics.score import ScoreReport, Stamp, score_captions
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.metrics.bootstrap": ("Difference", "Interval", "confidence_intervals"),
            "capgen.metrics.evidence": ("Evidence",),
            "capgen.metrics.language": ("LanguageStatistics",),
            "capgen.metrics.score": ("ScoreReport", "Stamp", "score_captions"),
        },
    )

__all__ = [
    "Difference",
    "Evidence",
    "Interval",
    "LanguageStatistics",
    "ScoreReport",
    "Stamp",
    "confidence_intervals",
    "score_captions",
]
