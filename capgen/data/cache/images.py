"""Images decoded once: a memory-mapped uint8 array that all processes share.

A pack holds the images of one request, one row per distinct content. It is named after the
SHA-256 of every file and the resizing, so a changed image makes a new pack, which copies the
unchanged rows from existing packs. When the cache would outgrow its limit, the least recently
used packs are removed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen import paths
from capgen.cache_folders import IMAGES
from capgen.config.caches import LIMIT_VARIABLE, CacheOptions
from capgen.data.cache.file_hashes import hash_files
from capgen.data.download.unpack import check_space
from capgen.data.events import Notice, Progress
from capgen.data.problems import BROKEN_IMAGE_HINT
from capgen.errors import DataError, ImageError, StorageError
from capgen.images.load import MODEL_MARGIN, load_image
from capgen.locks import Lock

logger = logging.getLogger(__name__)

_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What every image is turned into.

    Attributes:
        height: In pixels.
        width: In pixels.
        key: Names everything else about the reshaping that changes pixels.
        reshape: Turns an RGB image into uint8 (height, width, 3).
    """

    height: int
    width: int
    key: str
    reshape: Callable[[Image.Image], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class CachedImages:
    """Decoded images.

    Attributes:
        pixels: uint8 (R, H, W, 3), memory-mapped and read-only: one row per distinct content.
        rows: (N,) row of each requested image.
        path: The pack.
    """

    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]
    path: Path

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return images by position in the request, as a new uint8 (B, H, W, 3)."""
        taken: NDArray[np.uint8] = self.pixels[self.rows[np.asarray(indices, dtype=np.int64)]]
        return taken


def cached_images(
    files: Sequence[Path],
    shape: Shape,
    options: CacheOptions | None = None,
    *,
    workers: int | None = None,
) -> Generator[Progress | Notice, None, CachedImages]:
    """Return images decoded and reshaped, after decoding those that are not in the cache.

    Args:
        files: The images.
        shape: What to turn them into.
        options: How large the cache may grow; by default as the environment says.
        workers: Threads that decode; None means one per core.

    Yields:
        Progress while images are decoded, a notice while another process does it.

    Raises:
        DataError: An image cannot be decoded.
        StorageError: The disk or the limit has no room for them.
    """
    hashes = [digest.hex() for digest in hash_files(files)]
    unique = dict(zip(hashes, files, strict=True))
    order = sorted(unique)
    rows = {digest: row for row, digest in enumerate(order)}
    pack = _Pack(folder=IMAGES.path, shape=shape, hashes=order)
    known = pack.complete()
    logger.debug("%s %s for %d images", "found" if known else "making", pack.data, len(files))
    if not known:
        lock = Lock(pack.folder / ".lock", "decoding images")
        for message in lock.wait():
            yield Notice(message=message)
        with lock.held():
            if not pack.complete():
                _make_room(pack, options or CacheOptions.from_environment())
                yield from _write(pack, [unique[digest] for digest in order], workers)
    os.utime(pack.index)
    return CachedImages(
        pixels=pack.pixels(),
        rows=np.array([rows[digest] for digest in hashes], dtype=np.int64),
        path=pack.data,
    )


@dataclass(frozen=True, kw_only=True)
class _Pack:
    """One file of rows and its index, which is written last and so marks it as complete."""

    folder: Path
    shape: Shape
    hashes: list[str]

    @property
    def kind(self) -> str:
        """Identifies packs whose rows are made in the same way."""
        shape = self.shape
        text = f"1\n{shape.height}x{shape.width}\n{shape.key}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def data(self) -> Path:
        content = hashlib.sha256("\n".join(self.hashes).encode()).hexdigest()[:24]
        return self.folder / f"{self.kind}-{content}.u8"

    @property
    def index(self) -> Path:
        return self.data.with_suffix(".json")

    @property
    def bytes(self) -> int:
        return len(self.hashes) * self.shape.height * self.shape.width * 3

    def complete(self) -> bool:
        """Whether the pack exists, at its full size."""
        return self.index.is_file() and _size(self.data) == self.bytes

    def pixels(self) -> NDArray[np.uint8]:
        shape = (len(self.hashes), self.shape.height, self.shape.width, 3)
        return np.memmap(self.data, dtype=np.uint8, mode="r", shape=shape)


def _write(pack: _Pack, files: Sequence[Path], workers: int | None) -> Iterator[Progress]:
    """Write the rows in order; rows of other packs are copied, not decoded again."""
    known = _known_rows(pack)
    logger.debug("%d of %d images are in other packs", len(known), len(pack.hashes))

    def row(item: tuple[str, Path]) -> NDArray[np.uint8]:
        digest, file = item
        return known[digest] if digest in known else decode(file, pack.shape)

    items = list(zip(pack.hashes, files, strict=True))
    done = 0
    with paths.writing(pack.data) as temporary:
        try:
            with (
                temporary.open("wb") as out,
                ThreadPoolExecutor(workers or os.cpu_count()) as pool,
            ):
                for start in range(0, len(items), _BATCH):
                    for pixels in pool.map(row, items[start : start + _BATCH]):
                        out.write(np.ascontiguousarray(pixels).data)
                    done = min(start + _BATCH, len(items))
                    yield Progress(
                        task="decode",
                        item=f"{pack.shape.height}×{pack.shape.width}",
                        done=done,
                        total=len(items),
                        unit="images",
                    )
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            _keep(replace(pack, hashes=pack.hashes[:done]), temporary)
            raise
    paths.write_text(pack.index, json.dumps({"kind": pack.kind, "hashes": pack.hashes}))
    _remove_parts(pack)


def _keep(part: _Pack, temporary: Path) -> None:
    """Keep the first rows of an interrupted pack as one of their own, for the next run."""
    if not part.hashes or part.complete():
        return
    with suppress(OSError, StorageError):  # the cache is only there to save time
        os.truncate(temporary, part.bytes)
        with paths.writing(part.data, sweep=False) as copy:
            temporary.replace(copy)
        index = {"kind": part.kind, "hashes": part.hashes, "part": True}
        paths.write_text(part.index, json.dumps(index))


def _remove_parts(pack: _Pack) -> None:
    """Remove what interrupted runs kept, once it is all in a complete pack."""
    for index, content in _indexes(pack):
        if content.get("part") and set(content["hashes"]) < set(pack.hashes):
            with suppress(OSError):  # in use, on Windows
                index.with_suffix(".u8").unlink(missing_ok=True)
                index.unlink(missing_ok=True)


def _indexes(pack: _Pack) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the indexes of the packs of the same kind."""
    for index in pack.folder.glob(f"{pack.kind}-*.json"):
        try:
            content = json.loads(index.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # being removed
        if isinstance(content, dict) and "hashes" in content:
            yield index, content


def decode(file: Path, shape: Shape) -> NDArray[np.uint8]:
    """Return one image as uint8 (height, width, 3), or raise DataError."""
    try:
        image = load_image(file, size_hint=(shape.width, shape.height), margin=MODEL_MARGIN).image
        return shape.reshape(image)
    except ImageError as error:
        raise DataError(error.message, hint=BROKEN_IMAGE_HINT) from error


def _known_rows(pack: _Pack) -> dict[str, NDArray[np.uint8]]:
    """Return the rows of other packs of the same kind that this one needs."""
    known: dict[str, NDArray[np.uint8]] = {}
    wanted = set(pack.hashes)
    for _, content in _indexes(pack):
        hashes = content["hashes"]
        other = _Pack(folder=pack.folder, shape=pack.shape, hashes=hashes)
        if other.complete() and wanted.intersection(hashes):
            pixels = other.pixels()
            known |= {h: pixels[row] for row, h in enumerate(hashes) if h in wanted}
    return known


def _make_room(pack: _Pack, options: CacheOptions) -> None:
    limit = options.cache_limit
    if pack.bytes > limit:
        raise StorageError(
            f"{len(pack.hashes)} images of {pack.shape.height}×{pack.shape.width} take"
            f" {pack.bytes / 1e9:.1f} GB, more than the cache's limit of {limit / 1e9:g} GB",
            hint=f"Set {LIMIT_VARIABLE} higher, as in 80GB, or use fewer or smaller images.",
        )
    packs = sorted(pack.folder.glob("*.json"), key=lambda index: index.stat().st_mtime)
    sizes = {index: _size(index.with_suffix(".u8")) for index in packs}
    total = sum(sizes.values())
    with paths.storage_errors(pack.folder):
        for index in packs:
            if total + pack.bytes <= limit:
                break
            try:
                # Pixels first: Windows refuses while a run uses them, and the pack stays whole.
                index.with_suffix(".u8").unlink(missing_ok=True)
            except PermissionError:
                continue
            index.unlink(missing_ok=True)
            logger.debug("removed %s, least recently used: the limit is %d bytes", index, limit)
            total -= sizes[index]
    check_space(pack.folder, pack.bytes, "decode the images")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
