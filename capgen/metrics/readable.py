"""Which metrics can read which language, and what to say about those that cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import capgen.metrics.rouge as rouge
from capgen.metrics.scripts import ascii_share, unspaced_share
from capgen.metrics.tokenizers import CHARACTERS, PTB, Tokenizer, suggested_package

# As the language of captions that are not in English, but in which language is unknown (BCP 47).
UNDETERMINED = "und"
# German has 2 % of letters that rouge-score cuts words at; English has a "café" now and then.
_DROPPED_LETTERS = 0.01
# Share of letters without spaces between words.
_MOSTLY = 0.5
# What metrics know of English only.
_ENGLISH_ONLY = {
    "meteor": "METEOR's stems and synonyms are English",
    "meteor_1_5": "METEOR 1.5's stems, synonyms and paraphrases are English",
    "spice": "SPICE parses English",
    "spider": "SPIDEr's SPICE parses English",
    "chair": "CHAIR's words for objects are English",
}


def is_english(language: str) -> bool:
    """Whether a language, as in BCP 47, is English."""
    return language.split("-")[0].lower() in ("en", "eng", "english")


def has_foreign_letters(references: Sequence[str]) -> bool:
    """Whether captions have more letters besides a to z than English does."""
    return 1 - ascii_share(references) > _DROPPED_LETTERS


def unreadable(
    metrics: Collection[str], language: str, references: Sequence[str]
) -> dict[str, str]:
    """Return the metrics that cannot read a language, each with the reason.

    Args:
        metrics: Metrics, as `capgen.metrics.definitions` calls them.
        language: The captions' language as in BCP 47. If it is empty (unknown), all metrics are
            taken to be able to read it.
        references: The human captions.
    """
    if not language or is_english(language):
        return {}
    named = "" if language.startswith(UNDETERMINED) else f" ({language})"
    reasons = {
        metric: f"{reason}, and the references are not{named}."
        for metric, reason in _ENGLISH_ONLY.items()
        if metric in metrics
    }
    if "rouge_score" in metrics and has_foreign_letters(references):
        reasons["rouge_score"] = f"{_dropped(references)}."
    return {metric: reasons[metric] for metric in metrics if metric in reasons}


def language_notes(
    metrics: Collection[str], language: str, references: Sequence[str], tokenizer: Tokenizer
) -> Iterator[str]:
    """Yield what those metrics that are computed do not know of these captions, as sentences."""
    foreign = has_foreign_letters(references)
    unspaced = unspaced_share(references) > _MOSTLY
    if unspaced and tokenizer.key == PTB:
        yield (
            "The references are in a script without spaces between words, and the tokenizer ptb "
            "does not split it: BLEU, ROUGE-L and CIDEr-D compare whole captions. Use "
            "--tokenizer characters."
        )
    if unspaced and tokenizer.key == CHARACTERS:
        package = suggested_package(language)
        more = f" With the package {package}, they count words." if package else ""
        yield (
            "The references are in a script without spaces between words: BLEU, ROUGE-L and "
            f"CIDEr-D count characters.{more}"
        )
    if "rouge_score" in metrics and foreign:
        yield f"{_dropped(references)}: do not use it here."
    if not language and foreign and {"meteor", "meteor_1_5"} & set(metrics):
        yield "METEOR's stems and synonyms are English: here it matches little but equal words."
    if language and not is_english(language):
        yield (
            "The shares of captions that break off or repeat a word are judged by English "
            "function words."
        )


def _dropped(references: Sequence[str]) -> str:
    share = 1 - ascii_share(references)
    return (
        f"{rouge.GOOGLE_NAME} reads only the letters a to z, and drops {share:.0%} of the "
        "references' letters"
    )
