"""The language that captions are judged in: given, the data set's, or guessed."""

from __future__ import annotations

from capgen.config import EvalConfig
from capgen.data.formats.manifest import LANGUAGE_HINT, LANGUAGE_TAG
from capgen.data.statistics import common_language
from capgen.errors import UsageError
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.metrics.readable import UNDETERMINED, has_foreign_letters

GIVEN, OF_DATA, GUESSED = "given", "of the data set", "guessed from the references"

# Codes of ISO 639; BCP 47 reserves longer ones, and there is none.
_LONGEST_CODE = 3


def check_language(tag: str) -> None:
    """Check that a language is empty (to be guessed) or a tag of BCP 47, as in `pt-BR`."""
    if tag and not LANGUAGE_TAG.fullmatch(tag):
        raise UsageError(f"--language is {tag!r}; it must be a BCP 47 tag", hint=LANGUAGE_HINT)


def check_given_language(tag: str) -> None:
    """Check a language that the user gives: no name as in `english`, which BCP 47 would allow."""
    check_language(tag)
    if len(tag.split("-")[0]) > _LONGEST_CODE:
        raise UsageError(
            f"--language is {tag!r}; it must begin with a code of two or three letters",
            hint=LANGUAGE_HINT,
        )


def judged_language(data: EvaluationSet, config: EvalConfig) -> tuple[str, str]:
    """Return the language as in BCP 47, and where that is from; both empty if it is unknown.

    Where it is unknown, and too many letters are foreign to English, it is `UNDETERMINED`.
    """
    check_language(config.language)
    if config.language:
        return config.language, GIVEN
    if data.language:
        return data.language, OF_DATA
    guess = common_language(data.texts)
    guess = guess or (UNDETERMINED if has_foreign_letters(data.texts) else "")
    return guess, GUESSED if guess else ""
