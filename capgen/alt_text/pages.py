"""The pages of a site: found, read and parsed."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from capgen.alt_text.content_map import PageLines
from capgen.alt_text.html_places import html_places
from capgen.alt_text.markdown_places import markdown_places
from capgen.alt_text.places import Place
from capgen.errors import DataError
from capgen.overwriting import real_place

_HTML = (".html", ".htm", ".xhtml")
_MARKDOWN = (".md", ".markdown", ".mdx")
SUFFIXES = (*_MARKDOWN, *_HTML)
# Folders with other people's pages.
_PASSED_OVER = ("node_modules", "__pycache__", "vendor")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# What a page says about its encoding, in its first bytes as browsers want it.
_DECLARED = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_DECLARED_WITHIN = 1024
# Browsers read Latin-1 and what they are not told as this.
_USUAL = "cp1252"
_LATIN_1 = ("iso8859-1", "latin-1", "ascii")
_NOT_UTF8 = re.compile("[\udc80-\udcff]+")


@dataclass(frozen=True)
class Page:
    """A page with its images.

    Attributes:
        path: Its file.
        content: The file's bytes.
        text: The bytes as text; those that are not UTF-8 are lone surrogates.
        places: The images, in their order.
    """

    path: Path
    content: bytes
    text: str
    places: tuple[Place, ...]

    @property
    def ascii_only(self) -> bool:
        """Whether other characters must not be written, because the encoding is not known."""
        return any("\udc80" <= character <= "\udcff" for character in self.text)


def find_pages(content: Path, exclude: Sequence[str] = ()) -> Iterator[Path]:
    """Yield the pages of a folder in the order of their names, or the page that `content` is.

    Args:
        content: A folder, or one page.
        exclude: Patterns of paths below the folder, or of names, that are left out.

    Raises:
        DataError: There is nothing at `content`, or it is no page.
    """
    if content.is_file():
        if content.suffix.lower() not in SUFFIXES:
            raise DataError(f"{content} is no page", hint=f"Pages are {', '.join(SUFFIXES)} files.")
        yield content
        return
    if not content.is_dir():
        raise DataError(f"{content}: no such file or folder")

    def left_out(path: str, name: str) -> bool:
        below = os.path.relpath(path, content).replace(os.sep, "/")
        return any(fnmatch(below, each) or fnmatch(name, each) for each in exclude)

    found = set[str]()  # a link and the page that it leads to are one
    for folder, folders, names in os.walk(content):
        folders[:] = sorted(
            each
            for each in folders
            if not each.startswith(".")
            and each not in _PASSED_OVER
            and not left_out(os.path.join(folder, each), each)  # noqa: PTH118 (os.walk's)
        )
        for name in sorted(names):
            path = Path(folder, name)
            page = path.suffix.lower() in SUFFIXES and not name.startswith(".")
            if page and not left_out(str(path), name) and real_place(path) not in found:
                found.add(real_place(path))
                yield path


def read_page(path: Path) -> Page:
    """Read a page.

    Raises:
        DataError: The file cannot be read, or is UTF-16.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise DataError(f"{path} is not a regular file")  # it might never end
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error
    if content.startswith(_UTF16):
        raise DataError(f"{path}: UTF-16 is not read", hint="Save it as UTF-8.")
    return parse_page(path, content)


def parse_page(path: Path, content: bytes) -> Page:
    """Return the page that a file's bytes are."""
    text = content.decode("utf-8", "surrogateescape")
    suffix = path.suffix.lower()
    if suffix in _HTML:
        found = html_places(text, language="xml" if suffix == ".xhtml" else "html")
    else:
        found = markdown_places(text, mdx=suffix == ".mdx")
    lines = PageLines(text)
    encoding = _declared(content)
    placed = []
    for place in found:
        line, column = lines.position(place.start)
        placed.append(replace(_readable(place, encoding), line=line, column=column))
    return Page(path, content, text, tuple(placed))


def _declared(content: bytes) -> str:
    """Return the encoding of what is not UTF-8 in a page."""
    match = _DECLARED.search(content[:_DECLARED_WITHIN])
    try:
        name = codecs.lookup(match.group(1).decode()).name if match else _USUAL
        b"".decode(name)  # not all codecs are of text
    except LookupError:
        return _USUAL
    return _USUAL if name in _LATIN_1 else name


def _readable(place: Place, encoding: str) -> Place:
    """Return an image of a page whose words are characters in place of lone surrogates."""

    def decoded(text: str) -> str:
        return _NOT_UTF8.sub(
            lambda found: (
                found.group().encode("utf-8", "surrogateescape").decode(encoding, "replace")
            ),
            text,
        )

    return replace(
        place,
        address=decoded(place.address),
        others=tuple(map(decoded, place.others)),
        text=decoded(place.text),
        heading=decoded(place.heading),
        paragraph=decoded(place.paragraph),
    )
