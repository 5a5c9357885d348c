"""XMP sidecars: their names and content.

Adobe's programs keep the settings of `a.jpg` in `a.xmp`, darktable and digiKam in `a.jpg.xmp`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capgen.config import MetadataOptions
from capgen.file_types import has_image_suffix, is_foreign_image
from capgen.images.metadata.blocks import Blocks, is_filler, with_property
from capgen.images.metadata.keywords import with_keywords
from capgen.images.metadata.xmp import ALT_TEXT, DESCRIPTION, Property, read_texts
from capgen.paths import folded, is_file

# `--on-existing` is about files; here it is about the text in one.
_POLICIES = {"skip": "keep", "overwrite": "replace", "append": "append", "prepend": "prepend"}
_PROPERTIES: dict[str, tuple[Property, ...]] = {
    "description": (DESCRIPTION,),
    "alt-text": (ALT_TEXT,),
    "both": (DESCRIPTION, ALT_TEXT),
}


class XmpPlaces:
    """Finds the XMP sidecars of images."""

    def __init__(self) -> None:
        # Folder → the names without suffix that several images in it share.
        self._shared: dict[Path, set[str]] = {}

    def path(self, image: Path) -> Path:
        """Return the sidecar of an image: an existing one of either name, or else `a.xmp`.

        If there is an `a.cr2` or `a.png` beside `a.jpg`, `a.xmp` may belong to that, so the
        sidecar is `a.jpg.xmp`.
        """
        full = image.with_name(f"{image.name}.xmp")
        if is_file(full) or folded(image.stem) in self._shared_names(image.parent):
            return full
        return image.with_suffix(".xmp")

    def _shared_names(self, folder: Path) -> set[str]:
        if folder not in self._shared:
            counts: Counter[str] = Counter()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if has_image_suffix(entry.name) or is_foreign_image(Path(entry.name)):
                            counts[folded(Path(entry.name).stem)] += 1
            except (OSError, ValueError):  # writing will find what is wrong
                pass
            self._shared[folder] = {name for name, count in counts.items() if count > 1}
        return self._shared[folder]


@dataclass(frozen=True)
class SidecarContent:
    """The content of a sidecar.

    Attributes:
        data: Its bytes.
        kept: Whether an existing text was kept instead of the caption.
        keywords: The keywords of XMP that no person wrote.
    """

    data: bytes
    kept: bool = False
    keywords: tuple[str, ...] = ()


def xmp_sidecar(
    caption: str,
    before: bytes | None,
    policy: str,
    options: MetadataOptions,
    tags: Sequence[str] | None = None,
    own: Sequence[str] = (),
    own_caption: str | None = None,
) -> SidecarContent:
    """Return the content of a sidecar.

    Args:
        caption: The caption.
        before: The old content, or None.
        policy: One of `ON_EXISTING`, applied to the caption; settings and other texts stay.
        options: Which fields get the caption, and the separator.
        tags: Tags for its keywords, whatever the policy; None leaves them as they are.
        own: Keywords that capgen wrote there before.
        own_caption: The caption that capgen wrote there before, which is replaced.

    Raises:
        Unwritable: The old content is damaged, or not XMP.
    """
    options = MetadataOptions(
        on_description=_POLICIES[policy],
        metadata_field=options.metadata_field,
        separator=options.separator,
    )
    packet, kept = before or None, False
    for what in _PROPERTIES[options.metadata_field]:
        packet, kept_here = with_property(packet, caption, options, own_caption, what)
        kept = kept or kept_here
    kept = kept and packet == before
    keywords = tuple(own)
    if tags is not None:
        blocks, keywords = with_keywords(Blocks(None, packet), tags, own)
        packet = blocks.xmp
    return SidecarContent(packet or b"", kept, keywords)


def has_texts(packet: bytes, options: MetadataOptions) -> bool:
    """Whether the fields that would get the caption have a text."""
    return all(
        any(not is_filler(text) for text in read_texts(packet, what).values())
        for what in _PROPERTIES[options.metadata_field]
    )
