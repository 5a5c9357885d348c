"""The metrics that need a program or data of others: one that fails costs no other metric."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import capgen.metrics.official as official
from capgen.config.evaluation import JavaLimits
from capgen.errors import CapgenError, MetricError
from capgen.metrics.meteor_1_5 import resources

# Metrics, and the check of what they share.
_CHECKS: tuple[tuple[tuple[str, ...], Callable[[JavaLimits | None], object]], ...] = (
    (("meteor_1_5",), lambda java: resources.folder()),
    (("spice", "spider"), official.check_present),
)


def program_failures(
    metrics: Collection[str], java: JavaLimits | None = None
) -> dict[str, CapgenError]:
    """Return the metrics whose program or data are of no use here, each with the error."""
    failures: dict[str, CapgenError] = {}
    for sharing, check in _CHECKS:
        wanted = [metric for metric in sharing if metric in metrics]
        if wanted:
            try:
                check(java)
            except CapgenError as error:
                failures |= dict.fromkeys(wanted, error)
    return failures


def nothing_computed(
    left_out: Mapping[str, str], failures: Mapping[str, CapgenError]
) -> CapgenError:
    """Return the error of a run in which no metric could be computed."""
    errors = list(failures.values())
    reasons = list(dict.fromkeys([*left_out.values(), *map(sentence, errors)]))
    if errors and len(reasons) == 1:
        return errors[0]
    language = ", or say which language this is with --language" if left_out else ""
    return MetricError(
        f"None of the metrics can be computed: {' '.join(reasons)}".removesuffix("."),
        hint=f"Choose others with --metrics{language}.",
    )


def sentence(error: CapgenError) -> str:
    """Return an error and its hint as sentences."""
    return f"{error.message}. {error.hint}".strip()
