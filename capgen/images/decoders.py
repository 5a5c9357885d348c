"""The one Pillow class for each format, its bomb check, and its errors made precise."""

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

# The Pillow class of each format. MPO files are JPEGs with more images behind the first.
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
# Where Pillow's default bomb check begins to warn; see `pillow_allowing`.
_PILLOW_PIXELS = (1 << 30) // 12
_one_giant_at_a_time = threading.Lock()

logger = logging.getLogger(__name__)


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return a path as one clean line: what cannot be printed is escaped (`\n`, `\udcff`)."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in os.fspath(path)
    )


def decodable_format(data: bytes, name: str) -> str:
    """Return Pillow's name of the format.

    Raises:
        ImageError: With code `unsupported` for other images, `not_an_image` otherwise.
    """
    sniffed = sniff(data)
    if sniffed.format is not None:
        return sniffed.format
    if sniffed.image:
        raise ImageError(
            f"{name}: {sniffed.description}, which capgen cannot decode",
            code="unsupported",
            hint="Convert it to JPEG or PNG.",
        )
    raise ImageError(f"{name}: not an image but {sniffed.description}", code="not_an_image")


def decoder_class(file_format: str, name: str) -> Any:
    """Return the Pillow class that decodes a format.

    Raises:
        ImageError: With code `unsupported` where it is not installed.
    """
    module_name, class_name = _DECODERS[file_format]
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ImageError(
            f"{name}: a HEIC image, which needs the package pillow_heif",
            code="unsupported",
            hint="pip install 'capgen[heic]'",
        ) from error
    if not getattr(module, "SUPPORTED", True):
        raise ImageError(
            f"{name}: this Pillow was built without {file_format}",
            code="unsupported",
            hint="pip install --force-reinstall pillow",
        )
    return getattr(module, class_name)


@contextmanager
def pillow_allowing(size: tuple[int, int]) -> Iterator[None]:
    """Keep Pillow's own bomb check from judging an image that `limits` has admitted.

    That check reads one global for the whole process, and warns on stderr. Images that
    would meet it are decoded one at a time, with the global raised to their size.
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
def reporting(name: str, file_format: str, data: bytes) -> Iterator[None]:
    """Turn whatever a decoder raises for `data` into ImageError, and log its traceback.

    Decoders meet broken data with any exception: TypeError, OverflowError, AssertionError…
    So only calls of theirs belong in here: a fault of capgen would look like one of the file.
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
            text = f"{name}: the {file_format} file is cut short: its end is missing"
            raise ImageError(text, code="truncated") from error
        reason = printable(" ".join(str(error).split())) or type(error).__name__
        raise ImageError(
            f"{name}: broken {file_format} data ({reason})", code="unreadable"
        ) from error


def out_of_memory(name: str) -> ImageError:
    """Return the error of an image that there is not enough memory for."""
    return ImageError(f"{name}: not enough memory to decode it", code="too_large")
