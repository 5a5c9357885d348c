"""Which limits on language a validation passes."""

from __future__ import annotations

import pytest

from capgen.config import train_config
from capgen.errors import UsageError
from capgen.training.validation.language_limits import check_limits, has_limits, passed_limits
from capgen.training.validation.validate import LANGUAGE, Scores, Validation


def config_of(objective="scst", **settings):
    return train_config("mini", objective=objective, init="mini", **settings)


def validation_of(words, repeated):
    language = dict.fromkeys(LANGUAGE, 0.0)
    language |= {"distinct_words": words, "repeated_words": repeated}
    return Validation(
        images=1,
        loss=1.0,
        scores=Scores(metrics={}, language=language, captions={}, per_image={}),
    )


@pytest.mark.parametrize(
    ("words", "repeated", "settings"),
    [
        (300, 0.05, []),  # the limits themselves are within
        (299, 0.05, ["min_distinct_words"]),
        (300, 0.06, ["max_repetition"]),
        (10, 1.0, ["min_distinct_words", "max_repetition"]),
    ],
)
def test_limits(words, repeated, settings):
    config = config_of(min_distinct_words=300, max_repetition=0.05)
    passed = passed_limits(config, 4, validation_of(words, repeated))
    assert [event.setting for event in passed] == settings
    assert all(event.epoch == 4 for event in passed)
    for event in passed:
        assert (event.value, event.limit) == (
            (words, 300) if event.setting == "min_distinct_words" else (repeated, 0.05)
        )
        assert f"--{event.setting.replace('_', '-')}" in event.message


def test_they_are_off_and_for_self_critical_training_only():
    narrow = validation_of(1, 1.0)
    assert not has_limits(config_of())
    assert passed_limits(config_of(), 1, narrow) == []
    other = config_of("cross-entropy", min_distinct_words=300, max_repetition=0.0)
    assert not has_limits(other)
    assert passed_limits(other, 1, narrow) == []
    check_limits(other, val=False)


def test_epochs_without_validation_pass_none():
    assert passed_limits(config_of(min_distinct_words=300), 1, None) == []


@pytest.mark.parametrize(
    ("settings", "val", "reason"),
    [
        ({"min_distinct_words": 9, "eval": False}, True, "--min-distinct-words.*--no-eval"),
        ({"max_repetition": 0.1, "validation": False}, True, "--max-repetition.*--no-validation"),
        ({"max_repetition": 0.1}, False, "--max-repetition.*no val split"),
    ],
)
def test_there_must_be_captions_to_measure(settings, val, reason):
    with pytest.raises(UsageError, match=reason):
        check_limits(config_of(**settings), val=val)
    check_limits(config_of(min_distinct_words=9), val=True)


@pytest.mark.parametrize("setting", [{"max_repetition": 1.5}, {"noun_reward": 5.5}])
def test_ranges(setting):
    with pytest.raises(UsageError, match="must be between 0"):
        config_of(**setting)
