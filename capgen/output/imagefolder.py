"""Image folders of Hugging Face's `datasets` library: images, and `metadata.jsonl` with captions.

The library reads only images below the folder of `metadata.jsonl`. Those elsewhere are copied
into it.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from pathlib import Path
from typing import TextIO

from capgen.errors import DiskFullError, StorageError
from capgen.images.decoders import printable
from capgen.paths import writing

# Copies of images from elsewhere.
_COPIES = "images"


class ImageFolder:
    """Adds images and captions to an image folder.

    Args:
        folder: The folder.
        stream: The new content of `metadata.jsonl`; None only checks what could be added.
    """

    def __init__(self, folder: Path, stream: TextIO | None) -> None:
        self._folder = Path(os.path.realpath(folder))
        self._stream = stream
        self._added: set[str] = set()

    def add(self, image: Path, caption: str) -> str:
        """Add an image, once; return why it cannot be added, or an empty string.

        Raises:
            DiskFullError: No space is left.
        """
        real = Path(os.path.realpath(image))
        inside = real.is_relative_to(self._folder)
        name = real.relative_to(self._folder) if inside else Path(_COPIES, image.name)
        try:
            name.as_posix().encode()
        except UnicodeEncodeError:
            return f"{printable(image)}: its name is not UTF-8, so an image folder cannot hold it"
        if self._stream is None:
            return ""
        try:
            if not inside:
                name = self._copied(real, name)
        except DiskFullError:
            raise
        except StorageError as error:
            return printable(error.message)
        if name.as_posix() in self._added:
            return ""
        self._added.add(name.as_posix())
        self._stream.write(json.dumps({"file_name": name.as_posix(), "text": caption}) + "\n")
        return ""

    def _copied(self, image: Path, name: Path) -> Path:
        """Copy an image to a name that no other image has; return the name."""
        first, number = name, 1
        while (self._folder / name).exists():
            if filecmp.cmp(image, self._folder / name, shallow=False):
                return name
            number += 1
            name = first.with_stem(f"{first.stem}-{number}")
        with writing(self._folder / name, over_image=True, sweep=False) as temporary:
            shutil.copyfile(image, temporary)
        return name
