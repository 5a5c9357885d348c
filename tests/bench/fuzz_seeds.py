"""Small images of every format that Pillow and pillow_heif write, to be broken by fuzzing."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

Save = Callable[[io.BytesIO], None]
_SIZE = (40, 28)
# What folders are searched for; a file of another format gets the last.
_SUFFIXES = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "GIF": ".gif",
    "TIFF": ".tif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "AVIF": ".avif",
    "HEIF": ".heic",
}
DECODED = frozenset(_SUFFIXES)
_OTHER_SUFFIX = ".png"
_TIFF_COMPRESSIONS = (
    *("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "jpeg"),
    *("group3", "group4", "lzma", "zstd", "webp", "tiff_ccitt", "tiff_thunderscan"),
)
_OTHER_FORMATS = (
    *("ICO", "TGA", "PPM", "PCX", "DDS", "JPEG2000", "ICNS", "SGI", "XBM", "MSP", "IM", "SPIDER"),
    *("EPS", "PDF", "QOI", "BLP", "DIB"),
)


def make_seeds() -> dict[str, bytes]:
    """Return the images by name: format, then what is special (`TIFF-lzma-1.tif`)."""
    found: dict[str, bytes] = {}
    for file_format, special, image, options in _images():
        buffer = io.BytesIO()
        try:
            with warnings.catch_warnings(action="ignore"):
                image.save(buffer, file_format, **options)
        except (OSError, ValueError, KeyError, RuntimeError):
            continue  # this format does not take this mode, or this Pillow this format
        found[_name(file_format, special)] = buffer.getvalue()
    found.update(_heif())
    return found


def format_of(name: str) -> str:
    """Return the format that the name of a seed tells."""
    return name.partition("-")[0]


def _name(file_format: str, special: str) -> str:
    return f"{file_format}-{special}{_SUFFIXES.get(file_format, _OTHER_SUFFIX)}"


def _draw(shift: int = 0) -> Image.Image:
    down, across = np.mgrid[0 : _SIZE[1], 0 : _SIZE[0]]
    channels = [across * 6 + shift, down * 8, (across * down + shift) % 256]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def _modes() -> dict[str, Image.Image]:
    image = _draw()
    deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
    return {
        "RGB": image,
        "L": image.convert("L"),
        "1": image.convert("1"),
        "P": image.quantize(17),
        "PA": image.quantize(5).convert("PA"),
        "LA": image.convert("LA"),
        "RGBA": image.convert("RGBA").rotate(30),
        "CMYK": image.convert("CMYK"),
        "YCbCr": image.convert("YCbCr"),
        "LAB": image.convert("LAB"),
        "I;16": Image.fromarray(deep),
        "I": Image.fromarray(deep.astype(np.int32)),
        "F": image.convert("F"),
    }


def _images() -> Iterator[tuple[str, str, Image.Image, dict[str, object]]]:
    """Yield format, what is special, image, and options of saving it."""
    image, modes = _draw(), _modes()
    frames = [_draw(shift) for shift in (9, 70, 150)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    extras = {"exif": exif.tobytes(), "icc_profile": bytes(300), "xmp": b"<x:xmpmeta/>"}
    for mode, each in modes.items():
        for file_format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF", *_OTHER_FORMATS):
            yield file_format, mode, each, {}
        for compression in _TIFF_COMPRESSIONS:
            yield "TIFF", f"{compression}-{mode}", each, {"compression": compression}
    for file_format in ("PNG", "GIF", "WEBP", "TIFF", "AVIF", "MPO"):
        yield file_format, "frames", image, {"save_all": True, "append_images": frames}
    for file_format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        yield file_format, "metadata", image, extras
    for mode in ("RGB", "L", "CMYK"):
        yield "JPEG", f"progressive-{mode}", modes[mode], {"progressive": True}
        for subsampling in ("4:4:4", "4:2:2"):
            restarts = {"subsampling": subsampling, "restart_marker_blocks": 3}
            yield "JPEG", f"{subsampling}-{mode}", modes[mode], restarts
    yield "PNG", "palette-transparent", modes["P"], {"transparency": bytes(range(17)), "bits": 8}
    yield "PNG", "bits", modes["P"], {"bits": 4}
    yield "GIF", "interlaced", modes["P"], {"interlace": 1, "transparency": 2, "comment": b"c"}
    yield "WEBP", "lossless", modes["RGBA"], {"lossless": True}
    tags = {"tiffinfo": {270: "text", 305: "program", 33432: "owner", 700: b"<x/>"}}
    yield "TIFF", "tags", image, tags
    yield "TIFF", "big", image, {"big_tiff": True, "compression": "tiff_lzw"}
    yield "TIFF", "strips", image, {"strip_size": 120}
    yield "TIFF", "tiles", image, {"tile": (16, 16), "compression": "raw"}
    yield "BMP", "rle", modes["P"], {"compression": 1}


def _heif() -> dict[str, bytes]:
    try:
        import pillow_heif
    except ImportError:
        return {}
    found = {}
    for special, image in (("RGB", _draw()), ("RGBA", _draw().convert("RGBA"))):
        heif = pillow_heif.from_pillow(image)
        if special == "RGBA":
            heif.add_from_pillow(_draw(90))
        buffer = io.BytesIO()
        heif.save(buffer, quality=50)
        found[_name("HEIF", special)] = buffer.getvalue()
    return found
