"""How long a server asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(value: str) -> float | None:
    """Return the seconds that a `Retry-After` header (seconds, or a date) asks to wait, if any."""
    value = value.strip()
    try:
        if value.replace(".", "", 1).isdecimal():
            return float(value)
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
