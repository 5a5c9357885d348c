"""Opening the bytes of an image file: the only place where decoders read headers.

The size of the canvas and the work that the file's structure makes are checked before a decoder
trusts the header.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from capgen.config import ImageLimits, flag_name
from capgen.errors import ImageError
from capgen.images.camera_raw import is_camera_raw
from capgen.images.decoders import decodable_format, decoder_class, pillow_allowing, reporting
from capgen.images.headers import canvas_size
from capgen.images.jpeg_structure import jpeg_exif
from capgen.images.orientation import exif_of, exif_orientation, orientation_beside_exif
from capgen.images.structure import excess, without_metadata


def open_image(data: bytes, name: str, limits: ImageLimits) -> Image.Image:
    """Return Pillow's image of a file within the limits, with its pixels not yet decoded."""
    if not data:
        raise ImageError(f"{name}: the file is empty", code="empty")
    check_bytes(len(data), name, limits)
    file_format = decodable_format(data, name)
    if file_format == "TIFF" and is_camera_raw(data):
        raise ImageError(
            f"{name}: a camera raw file, which capgen cannot decode",
            code="unsupported",
            hint="Convert it to JPEG or PNG.",
        )
    decoder = decoder_class(file_format, name)
    canvas = canvas_size(file_format, data) or (0, 0)
    check_pixels(canvas, name, limits)
    too_much = excess(file_format, data)
    if too_much:
        raise ImageError(
            f"{name}: {too_much}, which would take long to decode",
            code="too_large",
            hint="If you trust the file, convert it to an ordinary JPEG or PNG.",
        )
    content = without_metadata(file_format, data)
    exif = jpeg_exif(data) if file_format == "JPEG" else b""
    with pillow_allowing(canvas), reporting(name, file_format, data):
        image: Image.Image = decoder(BytesIO(content))
    if exif:
        image.info["exif"] = exif
    _complete_orientation(image, file_format, data)
    check_pixels(image.size, name, limits)
    return image


def _complete_orientation(image: Image.Image, file_format: str, data: bytes) -> None:
    """Give an image whose EXIF data does not tell its orientation that of its other metadata."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes) and exif_orientation(exif) is not None:
        return
    elsewhere = orientation_beside_exif(file_format, data)
    if elsewhere is not None:
        image.info["exif"] = exif_of(elsewhere)


def check_bytes(size: int, name: str, limits: ImageLimits) -> None:
    """Raise ImageError, code `too_large`, if a file of `size` bytes is beyond the limits."""
    if size > limits.max_bytes:
        message = f"{name}: {size:,} bytes are more than the limit of {limits.max_bytes:,}"
        raise ImageError(message, code="too_large")


def check_pixels(size: tuple[int, int], name: str, limits: ImageLimits) -> None:
    """Raise ImageError, code `too_large`, if a (width, height) is beyond the limits."""
    width, height = size
    pixels = width * height
    if pixels > limits.max_pixels:
        flag = flag_name("max_pixels")
        raise ImageError(
            f"{name}: {pixels:,} pixels ({width}×{height}) are more than the {flag} limit of "
            f"{limits.max_pixels:,}",
            code="too_large",
            hint=f"If you trust the file: {flag} {pixels}",
        )
