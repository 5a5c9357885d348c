"""Settings of accepting captions without review."""

from __future__ import annotations

from dataclasses import dataclass

from capgen.config.fields import check_ranges, setting
from capgen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class AcceptConfig:
    """What is to hold for captions that nobody reviews, and which reviews are a random sample.

    Raises:
        UsageError: A value is out of its range.
    """

    at_most_wrong: float = setting(
        0.1, "Highest share of wrong captions among those accepted.", low=0.001, high=0.9
    )
    sure: float = setting(
        0.95, "Probability, over the draw of the sample, that this holds.", low=0.5, high=0.9999
    )
    sample: str = setting(
        "order",
        "Reviews that are a random sample: the first of the page's random order, or all.",
        choices=("order", "all"),
        remembered=False,
    )
    skip: int = setting(
        0,
        "Leave out the first N of the random order, because confidence was fitted on them.",
        low=0,
        remembered=False,
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.skip and self.sample == "all":
            raise UsageError("--skip counts along the random order, and --sample all has no order")
