"""Settings of captions that are written into images and beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting

_ESCAPES = {"\\n": "\n", "\\t": "\t"}


@dataclass(frozen=True, kw_only=True)
class MetadataOptions:
    """Which fields of metadata get the caption, and what to do with existing texts.

    Raises:
        UsageError: A value is not one of the possible ones.
    """

    PANEL: ClassVar[str] = "Sidecars and metadata"

    on_description: str = setting(
        "keep",
        "With --write-metadata: what to do with a description that a person wrote.",
        choices=("keep", "append", "prepend", "replace"),
        remembered=False,
    )
    metadata_field: str = setting(
        "description",
        "With --write-metadata or --sidecar .xmp: the field for the caption.",
        choices=("description", "alt-text", "both"),
        remembered=False,
    )
    separator: str = setting(
        ", ",
        "Text that append and prepend put between the caption and the existing text; "
        "\\n is a line break.",
        remembered=False,
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def separator_text(self) -> str:
        """The separator with its line breaks and tabs."""
        text = self.separator
        for escape, letter in _ESCAPES.items():
            text = text.replace(escape, letter)
        return text
