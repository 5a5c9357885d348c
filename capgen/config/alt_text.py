"""Settings of alternative texts of a site's images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting
from capgen.errors import UsageError, did_you_mean

# Where the captions of a site are kept unless -o says otherwise.
ALT_RECORDS = "alt-text.jsonl"

RULE_NAMES = (
    *("missing", "file-name", "placeholder", "image-of", "too-long", "repeated", "unreadable"),
)


@dataclass(frozen=True, kw_only=True)
class SiteOptions:
    """Which pages are read, and where their images are."""

    PANEL: ClassVar[str] = "Site"

    exclude: tuple[str, ...] = setting(
        (), "Leave out pages and folders whose path or name matches; may be repeated."
    )
    image_root: tuple[str, ...] = setting(
        (),
        "Folder in which the site's addresses that begin with / are; may be repeated. "
        "static, public, assets, src and docs, in CONTENT, beside or above it, are found without.",
    )


@dataclass(frozen=True, kw_only=True)
class AltFillOptions(SiteOptions):
    """Which pages are read, and how their images without alternative text get one.

    Raises:
        UsageError: A value is out of its range.
    """

    download: bool = setting(
        False, "Also caption images on the web that pages show.", remembered=False
    )
    review: bool = setting(
        False,
        "Open the captions in the browser first: what is rejected there is not written. "
        "Ctrl-C ends the review and writes the others.",
        flags="--review/--no-review",
        remembered=False,
    )
    only: str | None = setting(
        None,
        "Write only captions that a person accepted, edited ones included, or only edited ones.",
        choices=("accepted", "edited"),
        remembered=False,
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class AltCheckOptions:
    """What counts as wrong with an alternative text.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Rules"

    max_characters: int = setting(
        125, "Most characters of an alternative text.", low=20, high=10000
    )
    ignore: tuple[str, ...] = setting(
        (), f"Leave out this rule; may be repeated. Rules: {', '.join(RULE_NAMES)}."
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in self.ignore:
            if name not in RULE_NAMES:
                hint = did_you_mean(name, RULE_NAMES)
                raise UsageError(f"--ignore {name}: there is no such rule", hint=hint)
