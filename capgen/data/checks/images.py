"""Faults of image files, each decoded once, and the fingerprints for finding duplicates."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.data.formats.reading import Entry
from capgen.data.problems import Problem
from capgen.errors import ImageError
from capgen.images.frames import MOST_FRAMES, count_frames
from capgen.images.load import load_image

LEAST_SIDE = 32
MOST_ASPECT = 5.0
HASH_BITS = 64
_THUMBNAIL = 32
_BATCH = 256

_CODES = {
    "missing": "image_missing",
    "permission": "image_unreadable",
    "empty": "image_empty",
    "not_an_image": "image_not_an_image",
    "truncated": "image_truncated",
    "too_large": "image_too_large",
    "memory": "image_needs_memory",
}
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".hif"),
}
_ANIMATED = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What examining an image file found.

    Attributes:
        entry: The image.
        problems: Its faults.
        sha256: Of the file's bytes, or empty if it cannot be read.
        fingerprint: Perceptual hash, 64 booleans, or None if it cannot be decoded.
        thumbnail: 32 × 32 grey levels 0…255, to confirm what the hash suggests.
        size: Width and height as displayed.
    """

    entry: Entry
    problems: list[Problem] = field(default_factory=list)
    sha256: str = ""
    fingerprint: NDArray[np.bool_] | None = None
    thumbnail: NDArray[np.uint8] | None = None
    size: tuple[int, int] = (0, 0)


def examine_all(entries: Sequence[Entry]) -> Iterator[Examination]:
    """Examine every image, a batch at a time in threads (decoding releases the GIL)."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(entries), _BATCH):
            yield from pool.map(examine, entries[start : start + _BATCH])


def examine(entry: Entry) -> Examination:
    """Decode one image and look for faults."""
    path = entry.image
    if ".." in path.parts:
        return _faulty(entry, "image_outside", f"{path} is outside the data folder")
    if not os.path.exists(path):  # noqa: PTH110 (Path.exists raises for names that are too long)
        other = _names_by_case(path.parent).get(path.name.lower())
        if other:
            return _faulty(entry, "image_name_case", f"the file is called {other}")
        return _faulty(entry, "image_missing", "no such file")
    if not entry.has_image:  # reading a pipe would block, and a device never ends
        return _faulty(entry, "image_not_an_image", "a folder, pipe or device, not a file")
    try:
        data = path.read_bytes()
        loaded = load_image(data, name=path.name)
    except ImageError as error:
        return _faulty(entry, _CODES.get(error.code, "image_unreadable"), error.message)
    except OSError as error:
        return _faulty(entry, "image_unreadable", str(error.strerror))
    grey = loaded.image.convert("L").resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    thumbnail = np.asarray(grey, dtype=np.uint8)
    faults = list(_faults(path, loaded.format, loaded.image))
    faults += _animation(data, path.name, loaded.format)
    return Examination(
        entry=entry,
        problems=[_problem(entry, code, message) for code, message in faults],
        sha256=hashlib.sha256(data).hexdigest(),
        fingerprint=perceptual_hash(thumbnail),
        thumbnail=thumbnail,
        size=(loaded.width, loaded.height),
    )


def perceptual_hash(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the 64-bit hash of low frequencies (pHash; Zauner 2010).

    Args:
        grey: (32, 32) grey levels.

    Returns:
        (64,) whether each of the 8 × 8 lowest coefficients of the cosine transform exceeds
        their median, which is taken without the first coefficient (the mean).
    """
    basis = _cosine_basis()
    low = (basis @ grey.astype(np.float64) @ basis.T).ravel()  # (64,)
    return low > np.median(low[1:])


@functools.cache
def _cosine_basis() -> NDArray[np.float64]:
    """Return the 8 lowest rows of the 32-point DCT-II."""
    points = np.arange(_THUMBNAIL)
    return np.cos(np.pi * np.arange(8)[:, None] * (2 * points + 1) / (2 * _THUMBNAIL))


def _faults(path: Path, kind: str | None, image: Image.Image) -> Iterator[tuple[str, str]]:
    width, height = image.size
    if min(width, height) < LEAST_SIDE:
        yield "image_too_small", f"{width}×{height} pixels"
    if max(width, height) > MOST_ASPECT * min(width, height):
        yield "image_extreme_aspect", f"{width}×{height} pixels"
    extremes = image.getextrema()
    if all(high - low <= 2 for low, high in extremes):  # type: ignore[misc]
        yield "image_blank", "every pixel has the same colour"
    if kind in _SUFFIXES and path.suffix.lower() not in _SUFFIXES[kind]:
        yield "image_wrong_extension", f"{kind} with the extension {path.suffix or '(none)'}"


def _animation(data: bytes, name: str, kind: str | None) -> Iterator[tuple[str, str]]:
    frames = count_frames(data, name) if kind in _ANIMATED else 1
    if frames > 1:
        number = f"{frames:,} or more" if frames == MOST_FRAMES else str(frames)
        yield "image_animated", f"{number} frames; the first is used"


@functools.lru_cache(maxsize=8)
def _names_by_case(folder: Path) -> dict[str, str]:
    """Return the names in a folder by their lower-case form."""
    if not os.path.isdir(folder):  # noqa: PTH112 (as above)
        return {}
    return {place.name.lower(): place.name for place in folder.iterdir()}


def _faulty(entry: Entry, code: str, message: str) -> Examination:
    return Examination(entry=entry, problems=[_problem(entry, code, message)])


def _problem(entry: Entry, code: str, message: str) -> Problem:
    return Problem(code=code, message=message, file=entry.image, image_id=entry.image_id)
