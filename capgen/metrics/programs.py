"""The metrics that need a program or data of others: one that fails costs no other metric."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import capgen.metrics.official as official
from capgen.config.evaluation import JavaLimits
from capgen.errors import CapgenError, MetricError
from capgen.metrics.meteor_1_5 import resources

_CHECKS: dict[str, Callable[[JavaLimits | None], object]] = {
    "meteor_1_5": lambda java: resources.folder(),
    "spice": official.check_present,
}


def program_failures(
    metrics: Collection[str], java: JavaLimits | None = None
) -> dict[str, CapgenError]:
    """Return the metrics whose program or data are of no use here, each with the error."""
    failures: dict[str, CapgenError] = {}
    for metric, check in _CHECKS.items():
        if metric in metrics:
            try:
                check(java)
            except CapgenError as error:
                failures[metric] = error
    return failures


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
