"""What a dry run says of a run's time."""

from __future__ import annotations

import pytest

from capgen.cli.train.dry_run import rough_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1 min"),
        (89.0, "1 min"),
        (2538.0, "42 min"),
        (3599.0, "1 h 0 min"),
        (7512.0, "2 h 5 min"),
    ],
)
def test_a_time_is_told_in_hours_and_minutes(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text
