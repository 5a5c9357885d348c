"""The metrics that official programs compute: a program that fails costs no other metric."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import capgen.metrics.official as official
from capgen.config.evaluation import JavaLimits
from capgen.errors import CapgenError, MetricError
from capgen.metrics.corpus import Corpus, Floats

_NAMES = {"meteor_1_5": official.METEOR_NAME, "spice": official.SPICE_NAME}
_PROGRAMS = {"meteor_1_5": official.meteor_1_5, "spice": official.spice}


def program_failures(
    metrics: Collection[str], java: JavaLimits | None = None
) -> dict[str, CapgenError]:
    """Return the metrics whose official programs cannot start here, each with the error."""
    failures: dict[str, CapgenError] = {}
    for metric in _wanted(metrics):
        try:
            official.check_present(_NAMES[metric], java)
        except CapgenError as error:
            failures[metric] = error
    return failures


def program_scores(
    corpus: Corpus, metrics: Collection[str], java: JavaLimits | None = None
) -> tuple[dict[str, tuple[float, Floats]], dict[str, CapgenError]]:
    """Run the official programs of some metrics.

    Args:
        corpus: The captions.
        metrics: Metrics, also such as need no program.
        java: How long each program may take.

    Returns:
        Name → corpus score and (images,) scores; and metric → error of those that failed.
    """
    scores: dict[str, tuple[float, Floats]] = {}
    failures: dict[str, CapgenError] = {}
    for metric in _wanted(metrics):
        try:
            scores[_NAMES[metric]] = _PROGRAMS[metric](corpus, java)
        except CapgenError as error:  # the other metrics are of use without it
            failures[metric] = error
    return scores, failures


def nothing_computed(
    left_out: Mapping[str, str], failures: Mapping[str, CapgenError]
) -> CapgenError:
    """Return the error of a run in which no metric could be computed."""
    errors = list(failures.values())
    if len(errors) == 1 and not left_out:
        return errors[0]
    reasons = [*left_out.values(), *map(sentence, errors)]
    return MetricError(
        f"None of the metrics can be computed: {' '.join(reasons)}".removesuffix("."),
        hint="Choose others with --metrics, or say which language this is with --language.",
    )


def sentence(error: CapgenError) -> str:
    """Return an error and its hint as sentences."""
    return f"{error.message}. {error.hint}".strip()


def _wanted(metrics: Collection[str]) -> list[str]:
    return [metric for metric in _PROGRAMS if metric in metrics]
