"""Images of all common formats to upright 8-bit RGB, with a precise error for the rest.

Thread-safe. Files are read once and decoded by the Pillow class for their first bytes, never by
trying all classes; metadata is not unpacked.
"""

from __future__ import annotations

import math
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.decoders import out_of_memory, pillow_allowing, printable, reporting
from capgen.images.decoding_memory import claim_memory, decoding_bytes
from capgen.images.headers import is_cut_short
from capgen.images.opening import check_bytes, check_pixels, open_image
from capgen.images.orientation import exif_orientation
from capgen.images.progressive import for_an_eighth
from capgen.images.to_rgb import ConversionError, from_array, to_rgb, upright
from capgen.paths import is_folder

ImageSource = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]

# How many times the size asked for a decoded JPEG has at least. For models, libjpeg may do most of
# the shrinking, by averages over blocks: captions change as seldom as between two sizes of a photo
# (docs/benchmarks.md). For the eye, the filter of the resize gets more to do, as in Pillow's own
# thumbnails.
MODEL_MARGIN = 1.25
VIEWING_MARGIN = 2.0

DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True)
class LoadedImage:
    """A decoded image.

    Attributes:
        image: 8-bit RGB, upright, with transparency on white. Smaller than the original if
            `load_image` was given a size hint.
        width: Width of the original in pixels, as displayed.
        height: Height of the original in pixels, as displayed.
        format: Pillow's name of the file's format (`JPEG`, `PNG`, …), or None for an image
            made in memory.
    """

    image: Image.Image
    width: int
    height: int
    format: str | None


_JPEG_END = b"\xff\xd9"


def load_image(
    source: ImageSource,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    name: str | None = None,
    size_hint: tuple[int, int] | None = None,
    margin: float = VIEWING_MARGIN,
    turn: ExitStack | None = None,
) -> LoadedImage:
    """Decode one image: JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, or HEIC with pillow_heif.

    Of animations and multi-page files, the first image is used. Colour profiles are not
    applied, as in the training of vision models.

    Args:
        source: A path, the bytes of a file, a PIL image (its EXIF orientation is applied),
            or an array (see `capgen.images.to_rgb.from_array`).
        limits: The largest image to decode.
        name: The image's name in messages; by default the path, if there is one.
        size_hint: (width, height) that the image will have in the end. Much larger JPEGs are
            decoded at 1/2, 1/4 or 1/8 of their size, but never below `margin` times the hint.
        margin: `MODEL_MARGIN` for the input of models, or `VIEWING_MARGIN`.
        turn: Until it is closed, no other thread decodes a large image if this one is large; by
            default until it is decoded.

    Raises:
        ImageError: The image cannot be loaded; `code` says why.
    """
    if turn is None:
        with ExitStack() as own:
            return load_image(
                source, limits=limits, name=name, size_hint=size_hint, margin=margin, turn=own
            )
    least = None
    if size_hint is not None:
        least = math.ceil(margin * size_hint[0]), math.ceil(margin * size_hint[1])
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        name = name or printable(path) or "''"
        return _decode(read_file(path, name, limits), name, limits, least, turn)
    if isinstance(source, bytes):
        return _decode(source, name or "image in memory", limits, least, turn)
    name = name or "image in memory"
    if isinstance(source, Image.Image):
        return _from_pil(source, name, limits)
    if isinstance(source, np.ndarray):
        try:
            image = from_array(source)
        except ValueError as error:
            code = "unsupported" if source.size else "empty"
            raise ImageError(f"{name}: {error}", code=code) from error
        return LoadedImage(image, image.width, image.height, None)
    message = f"{name}: a {type(source).__name__} is not a path, bytes, a PIL image or an array"
    raise ImageError(message, code="unsupported")


def read_file(path: str, name: str, limits: ImageLimits) -> bytes:
    """Return the bytes of a file or a pipe, which messages call `name`, or raise ImageError."""
    try:
        if not path:  # Path("") is the working directory
            raise FileNotFoundError
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                raise ImageError(f"{name}: a device, not an image", code="unreadable")
            check_bytes(status.st_size, name, limits)
            blocks, size = [], 0
            # The size of a pipe is not known in advance.
            while block := file.read(max(status.st_size + 1, 1 << 20)):
                blocks.append(block)
                size += len(block)
                check_bytes(size, name, limits)
            return b"".join(blocks)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        hint = "capgen does not download images." if "://" in path else ""
        what = "a link to a file that does not exist" if Path(path).is_symlink() else "no such file"
        raise ImageError(f"{name}: {what}", code="missing", hint=hint) from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: a folder, not an image", code="unreadable") from error
    except PermissionError as error:
        if is_folder(Path(path)):  # on Windows
            raise ImageError(f"{name}: a folder, not an image", code="unreadable") from error
        raise ImageError(f"{name}: not allowed to read it", code="permission") from error
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror or error}", code="unreadable") from error


def _decode(
    data: bytes,
    name: str,
    limits: ImageLimits,
    least: tuple[int, int] | None,
    turn: ExitStack,
) -> LoadedImage:
    """Decode a file; JPEGs at a scale that leaves `least` (width, height) as displayed."""
    image = open_image(data, name, limits)
    file_format = str(image.format)
    hint = ""
    if file_format == "JPEG" and not limits.accept_truncated:
        hint = "Use --accept-truncated to caption what there is of it."
    elif file_format == "JPEG" and is_cut_short("JPEG", data):
        # libjpeg fills what is missing with grey once it meets the end marker.
        data += _JPEG_END
        image = open_image(data, name, limits)
    full = image.size
    if file_format != "JPEG":
        least = None
    elif least is not None:
        least = least[::-1] if _orientation(image) >= 5 else least
        if image.info.get("progressive") and _scale(full, least) == 8:
            image = open_image(for_an_eighth(data), name, limits)
    scale = 1 if least is None else _scale(full, least)
    needed = decoding_bytes(image, scale, rotated=_orientation(image) != 1)
    claim_memory(turn, needed, name)
    with pillow_allowing(full):
        with reporting(name, file_format, data, truncated_hint=hint):
            if least is not None:
                image.draft(None, least)
            size = image.size
            image.load()
        return _finish(image, name, None if size == full else full)


def _scale(full: tuple[int, int], least: tuple[int, int]) -> int:
    """Return the largest 1, 2, 4 or 8 by which Pillow's `draft` may divide a size."""
    times = min(full[0] // least[0], full[1] // least[1])
    return next((scale for scale in (8, 4, 2) if times >= scale), 1)


def _from_pil(source: Image.Image, name: str, limits: ImageLimits) -> LoadedImage:
    if 0 in source.size:
        raise ImageError(f"{name}: the image has no pixels", code="empty")
    check_pixels(source.size, name, limits)
    with pillow_allowing(source.size):
        with reporting(name, str(source.format), b""):
            source.load()
        return _finish(source, name, None)


def _finish(image: Image.Image, name: str, original: tuple[int, int] | None) -> LoadedImage:
    """Turn a loaded image into upright RGB; `original` is its full size if drafted."""
    # Pillow rotates TIFFs itself while loading them.
    orientation = 1 if image.format == "TIFF" else _orientation(image)
    try:
        rgb = upright(to_rgb(image), orientation)
    except ConversionError as error:
        raise ImageError(
            f"{name}: pixels of mode {image.mode} cannot be converted to RGB ({error})",
            code="unsupported",
            hint="Convert it to an RGB image.",
        ) from error
    except MemoryError as error:
        raise out_of_memory(name) from error
    if orientation != 1:
        rgb.info.pop("exif", None)  # or it would be rotated again
    width, height = original or rgb.size
    if original is not None and orientation >= 5:
        width, height = height, width
    return LoadedImage(rgb, width, height, image.format)


def _orientation(image: Image.Image) -> int:
    exif = image.info.get("exif")
    return (exif_orientation(exif) if isinstance(exif, bytes) else None) or 1
