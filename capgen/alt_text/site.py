"""A site: its pages, their images, and what is wrong with the alternative texts of these."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capgen.alt_text.findings import UNREADABLE, Finding, PlacedImage, findings
from capgen.alt_text.image_files import ImageFiles, web_address
from capgen.alt_text.pages import SUFFIXES, Page, find_pages, read_page
from capgen.alt_text.places import Place
from capgen.config import AltCheckOptions, SiteOptions
from capgen.digests import file_digest
from capgen.errors import DataError, StorageError


@dataclass(frozen=True)
class SiteImage:
    """An image of a page.

    Attributes:
        page: The page.
        number: Its number in `page.places`.
        file: Its file, or None if there is none.
    """

    page: Page
    number: int
    file: Path | None

    @property
    def place(self) -> Place:
        """Where the page shows it."""
        return self.page.places[self.number]

    @property
    def address(self) -> str | None:
        """Its address on the web, or None if it has a file or no such address."""
        return None if self.file is not None else web_address(self.place)

    @property
    def is_drawing(self) -> bool:
        """Whether it is an SVG file, which no captioner can look at."""
        return self.file is not None and self.file.suffix.lower() in (".svg", ".svgz")


@dataclass(frozen=True)
class Site:
    """The pages of a folder.

    Attributes:
        pages: Those that could be read.
        images: All images, in the order of the pages.
        unreadable: Page → why it could not be read.
    """

    pages: tuple[Page, ...]
    images: tuple[SiteImage, ...]
    unreadable: dict[str, DataError]

    @property
    def missing(self) -> list[SiteImage]:
        """The images without alternative text."""
        return [image for image in self.images if image.place.state == "missing"]


def read_site(content: Path, options: SiteOptions) -> Site:
    """Read the pages of a folder, or one page.

    Raises:
        DataError: There is nothing at `content`, it is no page, or it has no pages.
    """
    files = ImageFiles(content, [Path(root) for root in options.image_root])
    pages, images = list[Page](), list[SiteImage]()
    unreadable: dict[str, DataError] = {}
    for path in find_pages(content, options.exclude):
        try:
            page = read_page(path)
        except DataError as error:
            unreadable[_slashed(path)] = error
            continue
        pages.append(page)
        images += [
            SiteImage(page, number, files.file(path, place))
            for number, place in enumerate(page.places)
        ]
    if not pages and not unreadable:
        raise DataError(
            f"{content} has no pages",
            hint=f"Pages are {', '.join(SUFFIXES)} files. `capgen caption` captions a folder of "
            "images.",
        )
    return Site(tuple(pages), tuple(images), unreadable)


def check_site(site: Site, options: AltCheckOptions) -> Iterator[Finding]:
    """Yield what is wrong with a site's alternative texts, by page and place."""
    placed = [
        PlacedImage(_slashed(image.page.path), image.place, _identity(image))
        for image in site.images
    ]
    found = list(findings(placed, max_characters=options.max_characters))
    for path, error in site.unreadable.items():
        found.append(Finding(UNREADABLE, path, None, None, error.message))
    for each in found:
        if each.rule.id not in options.ignore:
            yield each


def _identity(image: SiteImage) -> str:
    """Return what tells an image from others: its content, as far as that is known."""
    if image.file is not None:
        try:
            return file_digest(image.file, StorageError)
        except StorageError:
            return os.path.realpath(image.file)
    return image.address or f"{image.page.path}: {image.place.address}"


def _slashed(path: Path) -> str:
    return path.as_posix()
