"""`Retry-After`: seconds and dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from capgen.retry_after import retry_after


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), (" 12 ", 12.0), ("1.5", 1.5)])
def test_seconds(value: str, seconds: float) -> None:
    assert retry_after(value) == seconds


def test_a_date_is_a_time_from_now() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)
    wait = retry_after(format_datetime(soon, usegmt=True))
    assert wait is not None
    assert 80 < wait <= 90


def test_a_date_that_has_passed_asks_for_no_wait() -> None:
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize("value", ["", "soon", "-3", "²", "1e9", "Wed, 99 Foo 2015 07:28:00 GMT"])
def test_anything_else_is_ignored(value: str) -> None:
    assert retry_after(value) is None
