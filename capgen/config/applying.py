"""Settings of `capgen apply`: which captions are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting


@dataclass(frozen=True, kw_only=True)
class ApplyOptions:
    """Which captions are written; rejected ones never are.

    Raises:
        UsageError: A value is not one of the possible ones.
    """

    PANEL: ClassVar[str] = "Which captions"

    only: str | None = setting(
        None,
        "Write only captions that a person accepted, edited ones included, or only edited ones.",
        choices=("accepted", "edited"),
        remembered=False,
    )
    min_confidence: float | None = setting(
        None,
        "Of the captions that nobody has reviewed, write those with at least this confidence.",
        low=0.0,
        high=1.0,
        remembered=False,
    )

    def __post_init__(self) -> None:
        check_ranges(self)
