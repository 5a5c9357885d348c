"""Limits on the language of val's captions, at which self-critical training ends.

Training on rewards narrows the language from validation to validation: once it is too narrow,
further epochs do not widen it again.
"""

from __future__ import annotations

from capgen.config import TrainConfig, flag_name
from capgen.errors import UsageError
from capgen.records import LimitPassed
from capgen.training.validation.validate import Validation


def has_limits(config: TrainConfig) -> bool:
    """Whether a run watches its language."""
    limited = config.min_distinct_words > 0 or config.max_repetition < 1
    return config.objective == "scst" and limited


def check_limits(config: TrainConfig, *, val: bool) -> None:
    """Check that there are captions to measure; `val` tells whether there is a val split.

    Raises:
        UsageError: There are none.
    """
    if not has_limits(config) or (val and config.validation and config.eval):
        return
    name = "min_distinct_words" if config.min_distinct_words else "max_repetition"
    reason = "there is no val split" if config.validation else "--no-validation"
    if config.validation and val:
        reason = "--no-eval"
    raise UsageError(
        f"{flag_name(name)} is measured on the captions of val, and there are none: {reason}",
        hint=f"Train without {flag_name(name)}, or measure val.",
    )


def passed_limits(
    config: TrainConfig, epoch: int, validation: Validation | None
) -> list[LimitPassed]:
    """Return the limits that the captions of a validation have passed."""
    if validation is None or not validation.language or not has_limits(config):
        return []
    words, repeated = (validation.language[name] for name in ("distinct_words", "repeated_words"))
    passed = []
    if words < config.min_distinct_words:
        text = f"{words:.0f} distinct words, less than {config.min_distinct_words}"
        passed.append(_event("min_distinct_words", epoch, words, config.min_distinct_words, text))
    if repeated > config.max_repetition:
        text = f"a word twice in {repeated:.1%} of them, more than {config.max_repetition:.1%}"
        passed.append(_event("max_repetition", epoch, repeated, config.max_repetition, text))
    return passed


def _event(name: str, epoch: int, value: float, limit: float, text: str) -> LimitPassed:
    message = f"Stopped after epoch {epoch}: the captions of val have {text} ({flag_name(name)})"
    return LimitPassed(epoch=epoch, setting=name, value=value, limit=limit, message=message)
