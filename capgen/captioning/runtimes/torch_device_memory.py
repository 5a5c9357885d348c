"""What captioning with torch says when a device runs out of memory."""

from __future__ import annotations

from contextlib import AbstractContextManager

from capgen.models.out_of_memory import device_memory_errors

# Of a model that does not even fit alone.
TOO_LARGE = "Use --dtype fp16, --quantize for models that answer prompts, or --device cpu."


def captioning_memory(model: str, device: str, images: int) -> AbstractContextManager[None]:
    """Turn running out of memory while captioning images into DeviceMemoryError."""
    number = "one image" if images == 1 else f"{images} images at once"
    return device_memory_errors(
        f"{model}: {device} ran out of memory with {number}",
        hint="Use fewer --beams, --dtype fp16, or --device cpu.",
    )
