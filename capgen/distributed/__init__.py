"""Captioning on many machines: shares and parts of a list, and engines that work on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

if TYPE_CHECKING:
    from capgen.distributed.caption_batches import CaptionBatches
else:
    __getattr__, __dir__ = lazy_names(
        __name__, {"capgen.distributed.caption_batches": ("CaptionBatches",)}
    )

__all__ = ["CaptionBatches"]
