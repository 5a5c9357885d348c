"""Writing captions into image files as EXIF, IPTC and XMP, not touching pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from capgen.config import ImageLimits, MetadataOptions
from capgen.errors import DiskFullError, StorageError
from capgen.images.decoders import printable
from capgen.images.metadata import Unwritable
from capgen.images.metadata.blocks import Blocks, read_descriptions, with_caption
from capgen.images.metadata.check import check_same_image
from capgen.images.metadata.file_formats import module_for
from capgen.images.metadata.keywords import read_keywords, with_keywords
from capgen.paths import replace_file, storage_errors
from capgen.records import WriteOutcome
from capgen.undo_file import UndoFile


class MetadataWriter:
    """Writes captions into images.

    Args:
        undo: Where to record changes.
        options: Which fields to write, and what to do with descriptions that a person wrote.
        limits: The largest image to decode; the old and the new file are decoded to compare them.
        dry_run: Only count what would be changed.

    Attributes:
        changed: How many images were written.
        kept: How many keep a description that a person wrote.
        already: How many had their caption before, and stay as they were.
    """

    def __init__(
        self,
        undo: UndoFile,
        options: MetadataOptions | None = None,
        *,
        limits: ImageLimits | None = None,
        dry_run: bool = False,
    ) -> None:
        self.undo = undo
        self.options = options or MetadataOptions()
        self.limits = limits or ImageLimits()
        self.dry_run = dry_run
        self.changed = self.kept = self.already = 0

    def write(
        self,
        image: Path,
        text: str,
        tags: Sequence[str] | None = None,
        *,
        reviewed: bool = False,
    ) -> WriteOutcome:
        """Write a caption into an image, unless it has it already or keeps a person's.

        Args:
            image: The image.
            text: The caption.
            tags: Tags for its keywords, also where a person's description stays. None leaves the
                keywords as they are.
            reviewed: Whether a person accepted the caption, or wrote it. Another one does not
                replace a caption that a person did.

        Raises:
            StorageError: The undo file cannot be written, or no space is left.
        """
        try:
            data, version = _read(image)
            module = module_for(data, image)
            old = module.pieces(data)
            blocks = module.blocks(old)
            own = self.undo.caption_of(data, reviewed=reviewed)
            keywords = self.undo.keywords_of(data)
            captioned, kept = with_caption(blocks, text, self.options, own)
            wanted = captioned
            if tags is not None:
                wanted, keywords = with_keywords(captioned, tags, keywords)
            self.kept += kept
            kept = kept and captioned is blocks
            if wanted is blocks:
                if reviewed and not kept and not self.dry_run:
                    self.undo.mark_reviewed(image, data)
                self.already += not kept
                return WriteOutcome(kept=kept, already=not kept)
            new = module.with_blocks(old, blocks, wanted)
            self._check(module, wanted, data, new, keywords=tags is not None)
            if _version(image) != version:
                raise StorageError(f"Cannot write {image}: another program has just changed it")
        except Unwritable as error:
            return WriteOutcome(
                f"no caption written into {printable(image)}: {error}; "
                "--sidecar .xmp writes it beside the image",
                refused=True,
            )
        except StorageError as error:
            return WriteOutcome(printable(error.message))
        if not self.dry_run:
            written = self.undo.caption_of(data, reviewed=True) if kept else text
            reviewed = self.undo.is_reviewed(data) if kept else reviewed
            self.undo.record(
                *(image, old, new), caption=written, reviewed=reviewed, keywords=keywords
            )
            problem = _replace(image, new)
            if problem:
                return WriteOutcome(problem)
        self.changed += 1
        return WriteOutcome(kept=kept)

    def _check(
        self,
        module: ModuleType,
        wanted: Blocks,
        old: bytes,
        new: Sequence[bytes],
        *,
        keywords: bool,
    ) -> None:
        """Raise Unwritable unless a new file has the metadata it should, and the old pixels.

        `keywords` tells whether keywords were to be written; if not, any form of them is right.
        """
        data = b"".join(new)
        found: Blocks = module.blocks(module.pieces(data))
        if read_descriptions(found) != read_descriptions(wanted) or (
            keywords and read_keywords(found) != read_keywords(wanted)
        ):
            raise Unwritable("its metadata is written in an unusual way")
        check_same_image(old, data, self.limits)


def _replace(image: Path, new: Sequence[bytes]) -> str:
    """Write an image anew; return what is wrong, or an empty string."""
    try:
        replace_file(image, b"".join(new), over_image=True, keep_times=True)
    except DiskFullError as error:
        raise DiskFullError(printable(error.message), hint=error.hint) from error
    except StorageError as error:
        return printable(error.message)
    return ""


def read_captions(data: bytes) -> list[str | None]:
    """Return the captions in an image's EXIF, XMP and (JPEG only) IPTC."""
    module = module_for(data)
    return read_descriptions(module.blocks(module.pieces(data)))


def _read(image: Path) -> tuple[bytes, tuple[int, ...]]:
    """Return the bytes and version of an image that can be replaced, or raise StorageError."""
    with storage_errors(image):
        if not image.is_file():
            raise StorageError(
                f"Cannot write {image}: it is no longer there, or not a regular file"
            )
        if not os.access(os.path.dirname(os.path.realpath(image)), os.W_OK):  # noqa: PTH120
            raise StorageError(f"Not allowed to write {image}")
        version = _version(image)
        return image.read_bytes(), version


def _version(path: Path) -> tuple[int, ...]:
    """Return what is different once something else has written a file."""
    with storage_errors(path):
        status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
