"""Which file an image's address in a page leads to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from capgen.addresses import is_url
from capgen.alt_text.places import Place

# Folders beside pages whose files a site's generator puts at its root.
_STATIC = ("", "static", "public", "assets", "src", "docs")
_AFTER_PATH = re.compile(r"[?#].*", re.DOTALL)
# How Docusaurus names its own folder, and files that it leaves as they are.
_DOCUSAURUS = re.compile(r"^(?:@site|pathname://)(?=/)")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")


class ImageFiles:
    """Finds the images of pages.

    Args:
        content: The folder of pages, or one page.
        roots: Folders in which addresses that begin with a slash may be, besides the usual ones
            (`static`, `public`, …, in or beside the folder of pages, and further up to the present
            folder).
    """

    def __init__(self, content: Path, roots: Sequence[Path] = ()) -> None:
        folder = content if content.is_dir() else content.parent
        usual = [base / name for base in _bases(folder) for name in _STATIC]
        self._roots = [*roots, *usual]

    def file(self, page: Path, place: Place) -> Path | None:
        """Return the file of an image of a page, or None if there is none."""
        for address in (place.address, *place.others):
            for path in self._possible(page, address):
                if path.is_file():
                    return path
        return None

    def _possible(self, page: Path, address: str) -> Iterator[Path]:
        address = _DOCUSAURUS.sub("", address)
        if not address or address.startswith("//") or _SCHEME.match(address):
            return
        # A file may have "%20" or "?" in its name, too; that is tried last.
        for name in (unquote(_AFTER_PATH.sub("", address)), address):
            name = name.replace("\\", "/")
            if "\0" in name or not name.strip("/"):
                continue
            if not name.startswith("/"):
                yield Path(os.path.normpath(page.parent / name))
            for root in self._roots:
                yield Path(os.path.normpath(root / name.lstrip("/")))


def _bases(folder: Path) -> list[Path]:
    """Return a folder, the one that it is in, and all above it below or at the present folder."""
    real, here = Path(os.path.realpath(folder)), Path(os.path.realpath(Path.cwd()))
    steps = len(real.relative_to(here).parts) if real.is_relative_to(here) else 1
    bases = [folder]
    for _ in range(max(steps, 1)):
        bases.append(Path(os.path.normpath(bases[-1] / "..")))
    return bases


def web_address(place: Place) -> str | None:
    """Return the first address of an image that is on the web, or None."""
    for address in (place.address, *place.others):
        if address.startswith("//"):
            return f"https:{address}"
        if is_url(address):
            return address
    return None
