"""The Pillow class for each format, its bomb check, and precise errors."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from capgen.errors import ImageError
from capgen.file_types import sniff
from capgen.images.headers import is_cut_short

# The Pillow class of each format. MPO files are JPEGs with more images after the first.
_DECODERS = {
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
}
# Pillow's default bomb check warns from here on; see `pillow_allowing`.
_PILLOW_PIXELS = (1 << 30) // 12
_one_giant_at_a_time = threading.Lock()

logger = logging.getLogger(__name__)


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return a path as one line, with unprintable characters escaped (`\n`, `\udcff`)."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in os.fspath(path)
    )


def decodable_format(data: bytes, name: str) -> str:
    """Return Pillow's name of the format, or raise ImageError."""
    sniffed = sniff(data)
    if sniffed.format is not None:
        return sniffed.format
    if sniffed.image:
        message = f"{name}: {sniffed.description}, which capgen cannot decode"
        raise ImageError(message, code="unsupported", hint="Convert it to JPEG or PNG.")
    raise ImageError(f"{name}: not an image but {sniffed.description}", code="not_an_image")


def decoder_class(file_format: str, name: str) -> Any:
    """Return the Pillow class that decodes a format; ImageError if it is not installed."""
    module_name, class_name = _DECODERS[file_format]
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        message = f"{name}: a HEIC image, which needs the package pillow_heif"
        hint = "pip install 'capgen[heic]'"
        raise ImageError(message, code="unsupported", hint=hint) from error
    if not getattr(module, "SUPPORTED", True):
        message = f"{name}: this Pillow was built without {file_format}"
        hint = "pip install --force-reinstall pillow"
        raise ImageError(message, code="unsupported", hint=hint)
    return getattr(module, class_name)


@contextmanager
def pillow_allowing(size: tuple[int, int]) -> Iterator[None]:
    """Keep Pillow's own bomb check from rejecting an image that `limits` allows.

    The check reads one global for the whole process and warns on stderr. Images that would
    trigger it are decoded one at a time, with the global raised to their size.
    """
    pixels = size[0] * size[1]
    if pixels <= _PILLOW_PIXELS:
        yield
        return
    with _one_giant_at_a_time:
        before = Image.MAX_IMAGE_PIXELS
        if before is not None:
            Image.MAX_IMAGE_PIXELS = max(before, pixels)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextmanager
def reporting(
    name: str, file_format: str, data: bytes, *, truncated_hint: str = ""
) -> Iterator[None]:
    """Turn any exception of a decoder into ImageError, and log its traceback.

    Decoders raise anything for broken data: TypeError, OverflowError, AssertionError… So only
    decoder calls belong in this block: a bug in capgen would look like a broken file.
    """
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: {error}", code="too_large") from error
    except MemoryError as error:
        raise out_of_memory(name) from error
    except Exception as error:
        logger.debug("%s: the decoder of %s failed", name, file_format, exc_info=True)
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not the data's
            raise ImageError(f"{name}: {error.strerror}", code="unreadable") from error
        if (data and is_cut_short(file_format, data)) or "truncated" in str(error).lower():
            text = f"{name}: the {file_format} file is truncated: its end is missing"
            raise ImageError(text, code="truncated", hint=truncated_hint) from error
        reason = printable(" ".join(str(error).split())) or type(error).__name__
        raise ImageError(
            f"{name}: broken {file_format} data ({reason})", code="unreadable"
        ) from error


def out_of_memory(name: str) -> ImageError:
    """Return the error for an image that does not fit into memory."""
    return ImageError(f"{name}: not enough memory to decode it", code="memory")
