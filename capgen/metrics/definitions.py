"""The metrics: their names, exact definitions and directions, and the packages they come from."""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from collections.abc import Collection, Iterable

import capgen
import capgen.metrics.chair as chair
import capgen.metrics.n_best as n_best
from capgen.errors import UsageError, did_you_mean

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
    "spider": "mean of SPICE and CIDEr-D (Liu et al. 2017)",
    "cider": "CIDEr of Vedantam et al. 2015, equation 2 times 10 as in the authors' program, "
    "without CIDEr-D's clipping and length penalty; words are not stemmed",
    "cider_r": "CIDEr-R of Santos et al. 2021 (exponents 0.8 for repetition, 0.2 for length)",
    "clipscore": "CLIPScore and RefCLIPScore of Hessel et al. 2021 (w = 2.5, 'A photo depicts')",
    "bertscore": "BERTScore of Zhang et al. 2020 as in bert-score 0.3.13, no idf, no rescaling",
    "chair": "CHAIRi and CHAIRs of Rohrbach et al. 2018",
    "diversity": "over the captions of each image: self-CIDEr of Wang and Chan 2019 with CIDEr-D, "
    "mean BLEU-4 with the others, distinct-1 and -2",
}
DEFAULT_METRICS = ("bleu", "rouge_l", "rouge_score", "cider_d", "meteor")
SPIDER_NAME = "SPIDEr"
# Score → its head in tables for people: papers use the bare names for METEOR 1.5 and CIDEr-D.
_SHOWN = {"METEOR": "METEOR (NLTK)", "CIDEr": "CIDEr (plain)"}
# Of every other score more is better.
LOWER_IS_BETTER = frozenset([chair.INSTANCES_NAME, chair.SENTENCES_NAME, n_best.MBLEU_NAME])

# Metric → the packages whose code or data it is, or is made from.
_PACKAGES = {
    "rouge_score": ("rouge-score",),
    "meteor": ("nltk",),
    "meteor_1_5": ("nltk", "pycocoevalcap"),
    "spice": ("pycocoevalcap",),
    "spider": ("pycocoevalcap",),
}


def lower_is_better(scores: Iterable[str]) -> str:
    """Return a sentence on those of some scores of which less is better, or ""."""
    names = [shown_name(name) for name in scores if name in LOWER_IS_BETTER]
    return f"{', '.join(names)}: lower is better." if names else ""


def shown_name(score: str) -> str:
    """Return what tables for people call a score; records keep its own name."""
    return _SHOWN.get(score, score)


def check_names(metrics: Collection[str]) -> None:
    """Check that there are metrics of these names; raise UsageError for one that is not."""
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"Unknown metric {name!r}", hint=_meant(name))


def _meant(name: str) -> str:
    """Return a hint: users write names as tables have them, or separate them by spaces."""
    if not name.strip() or re.search(r"\w[\s;|]+\w", name):
        return "Separate metrics with commas, as in bleu,cider_d."
    key = re.sub(r"[^a-z0-9]+", "_", name.lower())
    closest = difflib.get_close_matches(key, METRICS, n=1)
    if closest == ["cider"]:
        return "What papers call CIDEr is mostly 'cider_d'; 'cider' is the plain one."
    if closest == ["meteor"]:
        return "What papers call METEOR is 'meteor_1_5'; 'meteor' is NLTK's, which is higher."
    return did_you_mean(key, METRICS)


def package_versions(metrics: Collection[str]) -> dict[str, str]:
    """Return the versions of capgen and of the packages that metrics depend on."""
    used = {package for name in metrics for package in _PACKAGES.get(name, ())}
    return {"capgen": capgen.__version__} | {
        package: importlib.metadata.version(package) for package in sorted(used)
    }
