"""Settings of tags: the concepts of an image that are shown and written with its caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting

# Records hold concepts above this probability, and at most so many.
LEAST_CONCEPT_PROBABILITY = 0.1
MOST_CONCEPTS = 12


@dataclass(frozen=True, kw_only=True)
class TagOptions:
    """Whether there are tags, and how probable they are.

    Raises:
        UsageError: The probability is out of its range.
    """

    PANEL: ClassVar[str] = "Output"

    tags: bool = setting(
        False,
        "Add tags to captions, tables and galleries, to sidecars, and with --write-metadata to "
        "the keywords of images.",
        remembered=False,
    )
    min_tag_probability: float = setting(
        0.5,
        "With --tags: how probable a tag is at least.",
        low=LEAST_CONCEPT_PROBABILITY,
        high=1.0,
    )

    def __post_init__(self) -> None:
        check_ranges(self)


NO_TAGS = TagOptions()
