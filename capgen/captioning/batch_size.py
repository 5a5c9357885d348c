"""How many images to caption at once, for the memory that is there."""

from __future__ import annotations

from capgen.available_memory import available_memory

DEFAULT_BATCH_SIZE = 16
# What a lane takes besides its images: activations of the encoder and reading threads.
_LANE_BYTES = 96 << 20


def fitting_batch(image_bytes: int, lanes: int) -> int:
    """Return the default batch size, or less where memory is short.

    Args:
        image_bytes: Main memory that an image of a batch takes; 0 if that does not count.
        lanes: Batches at the same time. Their images get half of the memory that is available.
    """
    free = available_memory()
    if free is None or not image_bytes:
        return DEFAULT_BATCH_SIZE
    return max(1, min(DEFAULT_BATCH_SIZE, free // 2 // (lanes * image_bytes)))


def fitting_lanes(image_bytes: int, lanes: int) -> int:
    """Return `lanes`, or less where memory is short; arguments are as for `fitting_batch`."""
    free = available_memory()
    if free is None or not image_bytes:
        return lanes
    return max(1, min(lanes, free // _LANE_BYTES))
