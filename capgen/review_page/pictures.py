"""Images as the page shows them: upright, in a format that browsers know, small, without metadata.

Thumbnails are kept in the cache folder, whose size is limited.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from capgen.cache_folders import THUMBNAILS
from capgen.config import ImageLimits
from capgen.errors import CapgenError
from capgen.images.load import load_image
from capgen.images.thumbnails import small_copy
from capgen.paths import writing

logger = logging.getLogger(__name__)

THUMBNAIL_SIDE = 240
LARGEST_SIDE = 2048
# About 40,000 thumbnails.
CACHE_LIMIT = 300_000_000
# Of a cache that is full, this share is kept.
_KEPT = 0.8


@dataclass(frozen=True)
class State:
    """What tells one content of a file from another without reading it.

    Attributes:
        path: The file.
        size: Its size in bytes.
        changed: Time of its last change in nanoseconds.
    """

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> State:
        """Return a file's state; OSError if it cannot be looked up."""
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def entry(self, side: int) -> Path:
        """Return the place in the cache of a copy that is `side` pixels long."""
        facts = (os.fspath(self.path), str(self.size), str(self.changed), str(side))
        return THUMBNAILS.entry(*facts, suffix=".webp")

    def tag(self, side: int) -> str:
        """Return the ETag of such a copy."""
        return f'"{self.entry(side).stem}"'


class Pictures:
    """Makes the copies of images that the page shows. Thread-safe.

    Args:
        limits: The largest image to decode. JPEGs whose end is missing are shown, too.
        cache_limit: Most bytes of thumbnails to keep.
    """

    def __init__(self, limits: ImageLimits, cache_limit: int = CACHE_LIMIT) -> None:
        self._limits = limits
        self._cache_limit = cache_limit
        self._lock = threading.Lock()
        self._cached: int | None = None

    def thumbnail(self, state: State) -> bytes:
        """Return a WebP of at most `THUMBNAIL_SIDE` pixels, from the cache if it is there.

        Raises:
            ImageError: The image cannot be read.
        """
        entry = state.entry(THUMBNAIL_SIDE)
        with suppress(OSError):
            data = entry.read_bytes()
            if data:
                return data
        image = self._load(state.path, THUMBNAIL_SIDE)
        quick = Image.Resampling.BILINEAR
        data = small_copy(image, THUMBNAIL_SIDE, file_format="WEBP", quality=70, resample=quick)
        self._keep(entry, data)
        return data

    def large(self, path: Path, side: int) -> bytes:
        """Return a JPEG of at most `side` pixels.

        Raises:
            ImageError: The image cannot be read.
        """
        return small_copy(self._load(path, side), side, quality=88)

    def _load(self, path: Path, side: int) -> Image.Image:
        return load_image(path, limits=self._limits, size_hint=(side, side)).image

    def _keep(self, entry: Path, data: bytes) -> None:
        """Put a thumbnail into the cache; without a place for it, it is made again."""
        try:
            with writing(entry, over_image=True, sweep=False) as temporary:
                temporary.write_bytes(data)
        except CapgenError as error:
            logger.debug("a thumbnail is not kept: %s", error.message)
            return
        with self._lock:
            if self._cached is None:
                self._cached = _shrink(self._cache_limit)
            self._cached += len(data)
            if self._cached > self._cache_limit:
                self._cached = _shrink(self._cache_limit)


def _shrink(limit: int) -> int:
    """Remove the oldest thumbnails if they take more than `limit`; return how much is left."""
    found = []
    with suppress(OSError), os.scandir(THUMBNAILS.path) as entries:
        for each in entries:
            with suppress(OSError):
                status = each.stat()
                found.append((status.st_mtime_ns, status.st_size, each.path))
    total = sum(size for _, size, _ in found)
    if total <= limit:
        return total
    for _, size, path in sorted(found):
        if total <= limit * _KEPT:
            break
        with suppress(OSError):
            Path(path).unlink()
            total -= size
    return total
