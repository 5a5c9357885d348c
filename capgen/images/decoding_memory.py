"""Large images are decoded one after another, and only if there is the memory for it.

In a container, who takes more memory than its limit is killed without a word, and the same image
would kill the next run, too.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

from PIL import Image

from capgen.available_memory import available_memory
from capgen.errors import ImageError

# What an image may take without waiting for its turn: this much, or a share of the memory left.
_SMALL = 24 << 20
_SHARE = 16
# What captions are computed with may grow by this much meanwhile.
_SPARE = 48 << 20
# Pillow keeps RGB in four bytes a pixel.
_RGB = 4
_BYTES_OF_MODES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
# What a decoder keeps of its own, in bytes a pixel: three canvases for WebP's animations, planes
# of luma and chroma for the others.
_DECODERS_OWN = {"WEBP": 12, "AVIF": 6, "HEIF": 6}
# libjpeg keeps all coefficients of a progressive file, in two bytes each.
_COEFFICIENT = 2

_one_large_at_a_time = threading.RLock()


def decoding_bytes(image: Image.Image, scale: int, *, rotated: bool) -> int:
    """Return about how much memory an opened image takes at most until it is upright RGB.

    Args:
        image: The image, its pixels not decoded yet.
        scale: By which its width and height are divided while it is decoded.
        rotated: Whether its orientation is another than upright.
    """
    whole = image.width * image.height
    a_pixel = _BYTES_OF_MODES.get(image.mode, _RGB)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:  # as RGBA, alpha, on white
        made = (0 if image.mode == "RGBA" else _RGB) + 1 + _RGB
    else:
        grey = 1 if image.mode.startswith("I;16") else 0  # in 8 bits
        made = 0 if image.mode == "RGB" else grey + _RGB
    a_pixel += max(made, _RGB if rotated else 0, _DECODERS_OWN.get(str(image.format), 0))
    total = a_pixel * whole // scale**2
    if image.info.get("progressive"):
        parts = [across * down for _, across, down, _ in getattr(image, "layer", ())]
        total += _COEFFICIENT * whole * sum(parts) // max(parts, default=1)
    return total


def claim_memory(turn: ExitStack, needed: int, name: str) -> None:
    """Wait until no other thread decodes a large image; none does so until `turn` is closed.

    An image that is small for the memory that is left needs no turn.

    Raises:
        ImageError: There is not that much memory (`memory`).
    """
    if needed <= _SMALL or needed <= (available_memory() or needed * _SHARE) // _SHARE:
        return
    turn.enter_context(_one_large_at_a_time)
    available, needed = available_memory(), needed + _SPARE
    if available is not None and needed > available:
        raise ImageError(
            f"{name}: it takes {needed / 1e6:,.0f} MB of memory, and {available / 1e6:,.0f} MB "
            "are left",
            code="memory",
            hint="Make the image smaller, or give capgen more memory.",
        )
