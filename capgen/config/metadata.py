"""Settings of captions that are written beside images and into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting

_ESCAPES = {"\\n": "\n", "\\t": "\t"}


@dataclass(frozen=True, kw_only=True)
class MetadataOptions:
    """What becomes of texts that are there, and which fields of metadata take the caption.

    Raises:
        UsageError: A value is not one of those there are.
    """

    PANEL: ClassVar[str] = "Output"

    on_description: str = setting(
        "keep",
        "With --write-metadata: a description that a person wrote",
        choices=("keep", "append", "prepend", "replace"),
        remembered=False,
    )
    metadata_field: str = setting(
        "description",
        "With --write-metadata or --sidecar .xmp: where the caption goes",
        choices=("description", "alt-text", "both"),
        remembered=False,
    )
    separator: str = setting(
        ", ",
        "What append and prepend put between the caption and the text there; \\n is a line break.",
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
