"""Caption metrics, equal to the official COCO scorers without Java.

    from capgen.metrics import score_captions

    report = score_captions({"1": "a dog runs"}, {"1": ["a dog is running", "the dog runs"]})
    print(report.corpus["CIDEr-D"])

score      scores captions; the entry point. definitions, compute and score_report are its parts
bootstrap  intervals, paired comparison
corpus     captions, tokenized and counted once
tokenizers what tokens are in which language; ptb, the Penn Treebank tokenizer, is the COCO scorers'
readable   which metrics can read which language
bleu, rouge, cider, meteor (synonyms), language
meteor_1_5 METEOR 1.5, with the data of pycocoevalcap, if installed
evidence   what clipscore, bertscore, chair, n_best and official need besides captions
official   SPICE through pycocoevalcap and Java (java, programs), if installed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

if TYPE_CHECKING:
    from capgen.metrics.bootstrap import Difference, Interval, confidence_intervals
    from capgen.metrics.evidence import Evidence
    from capgen.metrics.language import LanguageStatistics
    from capgen.metrics.score import score_captions
    from capgen.metrics.score_report import ScoreReport, Stamp
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.metrics.bootstrap": ("Difference", "Interval", "confidence_intervals"),
            "capgen.metrics.evidence": ("Evidence",),
            "capgen.metrics.language": ("LanguageStatistics",),
            "capgen.metrics.score": ("score_captions",),
            "capgen.metrics.score_report": ("ScoreReport", "Stamp"),
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
