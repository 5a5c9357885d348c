"""Settings of the page on which captions are reviewed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting
from capgen.errors import UsageError

_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class ReviewOptions:
    """How the page is reached, and who reviews.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Page"

    port: int = setting(
        0,
        "Port of the page's address; 0 takes one that stays the same for the file, so that the "
        "browser finds drafts again",
        low=0,
        high=65535,
    )
    open: bool = setting(True, "Open the page in the browser.")
    by: str | None = setting(
        None, "Name to save with each decision. Default: the name that you logged in with."
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.by is not None and not (len(self.by) <= _LONGEST_NAME and self.by.isprintable()):
            raise UsageError(f"--by {self.by!r}: a name is one line of up to 100 characters")
