"""Settings of reading images: limits, batches, inputs, downloads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """The largest image that is decoded.

    Raises:
        UsageError: A limit is below 1.
    """

    PANEL: ClassVar[str] = "Input"

    # Pillow refuses what is larger by default; such an image takes 0.7 GB as RGB.
    max_pixels: int = setting(178_956_970, "Refuse images of more pixels, before decoding.", low=1)
    # Holds the largest image that max_pixels admits, uncompressed with 16 bits a channel.
    max_bytes: int = setting(1 << 30, "Refuse files of more bytes.", low=1)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How many images are captioned: how much at once, and what failures do.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Many images"

    batch_size: int = setting(16, "Images the model sees at once.", low=1, high=4096, panel="Model")
    workers: int | None = setting(
        None, "Threads that read and decode; by default one a core.", low=1, high=256
    )
    retry_failed: bool = setting(False, "Try again what failed in an earlier run.")
    fail_fast: bool = setting(False, "Stop at the first failure.")

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How named inputs become images."""

    PANEL: ClassVar[str] = "Input"

    recursive: bool = setting(False, "Look into subfolders.", flags="-r")
    include: tuple[str, ...] = setting((), "In folders and archives: only what matches.")
    exclude: tuple[str, ...] = setting((), "In folders and archives: leave out what matches.")
    null_separated: bool = setting(
        False, "The list on stdin is separated by NUL bytes.", flags="--null -0", remembered=False
    )
    path_column: str | None = setting(None, "Column of the manifest that names the images.")
    allow_private: bool = setting(
        False,
        "Fetch from private and loopback addresses too.",
        flags="--allow-private-addresses",
        remembered=False,
    )


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """What an image from the network may cost."""

    seconds: float = setting(30.0, "Longest download.")
    redirects: int = setting(5, "Most redirects.")
    max_bytes: int = setting(64 << 20, "Largest download.")
