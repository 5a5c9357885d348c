"""Settings of reading images: limits, batches, inputs, downloads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """Which images are decoded: the largest, and whether they may be cut short.

    Raises:
        UsageError: A limit is below 1.
    """

    PANEL: ClassVar[str] = "Input"

    # Pillow refuses what is larger by default; such an image takes 0.7 GB as RGB.
    max_pixels: int = setting(178_956_970, "Refuse images with more pixels than this.", low=1)
    # Holds the largest image that max_pixels admits, uncompressed with 16 bits a channel.
    max_bytes: int = setting(1 << 30, "Refuse image files larger than this, in bytes.", low=1)

    accept_truncated: bool = setting(
        False, "Caption JPEGs whose end is missing, too; the missing part is gray."
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How many images are captioned: batch size, threads, failures.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Many images"

    batch_size: int | None = setting(
        None,
        "Images per batch; by default 16, or fewer where memory is short.",
        low=1,
        high=4096,
        panel="Model",
    )
    workers: int | None = setting(
        None, "Threads that read and decode images; by default one per core.", low=1, high=256
    )
    retry_failed: bool = setting(False, "With --resume: try failed images again.")
    fail_fast: bool = setting(False, "Stop at the first failure.")

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """How the work is divided among machines.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Many images"

    shard: str | None = setting(
        None, "Caption only this share of the images, as in 3/16, into the folder -o."
    )
    part_size: int | None = setting(
        None,
        "Images in a part of a folder of parts; by default 1,000.",
        low=1,
        high=1_000_000,
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How named inputs become images."""

    PANEL: ClassVar[str] = "Input"

    recursive: bool = setting(False, "Include subfolders.", flags="-r")
    include: tuple[str, ...] = setting(
        (), "Take only matching files from folders and archives; may be repeated."
    )
    exclude: tuple[str, ...] = setting(
        (), "Skip matching files in folders and archives; may be repeated."
    )
    null_separated: bool = setting(
        False, "Names on stdin are separated by NUL bytes.", flags="--null -0", remembered=False
    )
    path_column: str | None = setting(None, "Column of the manifest with the images' paths.")
    allow_private: bool = setting(
        False,
        "Also fetch from private and loopback addresses.",
        flags="--allow-private-addresses",
        remembered=False,
    )


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """How much time and space an image from the network may take."""

    seconds: float = setting(30.0, "Longest time for a download.")
    redirects: int = setting(5, "Most redirects.")
    max_bytes: int = setting(64 << 20, "Largest download.")


@dataclass(frozen=True, kw_only=True)
class CsvOptions:
    """How captions are written as CSV."""

    PANEL: ClassVar[str] = "Output"

    csv_bom: bool = setting(
        False, "Begin CSV with a byte order mark, so that Excel reads it as UTF-8."
    )
    csv_formulas: bool = setting(
        False,
        "Keep CSV cells that begin with = + - or @ as they are. By default an apostrophe keeps "
        "spreadsheets from running them.",
    )
