"""Writes alternative texts into pages, and nothing else of them changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from capgen.alt_text.fill import image_key
from capgen.alt_text.pages import Page, parse_page
from capgen.alt_text.places import Edit, Place, with_texts
from capgen.alt_text.site import Site
from capgen.errors import DiskFullError, StorageError
from capgen.paths import replace_file, storage_errors
from capgen.undo_file import UndoFile


@dataclass(frozen=True)
class WrittenPage:
    """What became of the texts of one page.

    Attributes:
        page: The page as it was.
        text: The page as it is, or would be.
        written: Numbers of the images whose texts were written.
        problems: Number of an image → why its text was not.
    """

    page: Page
    text: str
    written: tuple[int, ...] = ()
    problems: Mapping[int, str] | None = None


@dataclass(frozen=True)
class Correction:
    """What a person wants in place of a text that capgen wrote.

    Attributes:
        text: The new text.
        former: The texts that it replaces: the model's, and those of earlier decisions.
    """

    text: str
    former: frozenset[str]


def write_texts(page: Page, texts: Mapping[int, str], undo: UndoFile | None) -> WrittenPage:
    """Write the alternative texts of images of a page.

    The new page is read again before it is written: if anything but these texts would be
    different in it, they are not written.

    Args:
        page: The page.
        texts: Number of an image in `page.places` → its text.
        undo: Where the change is recorded first; None changes nothing.

    Raises:
        StorageError: No space is left, or the undo file cannot be written.
    """
    problems: dict[int, str] = {}
    edits: dict[int, tuple[Edit, str]] = {}
    for number, text in texts.items():
        edit = page.places[number].edit
        if edit is None:
            problems[number] = "its alternative text cannot be changed there"
        else:
            edits[number] = edit, " ".join(text.split())
    right = _right(page, edits)
    for number in edits.keys() - set(right):
        problems[number] = "with this text the page would change in other places, too"
    new = with_texts(page.text, list(right.values()), ascii_only=page.ascii_only)
    if undo is not None and right:
        problem = _replace(page, right, undo)
        if problem:
            return WrittenPage(page, page.text, (), dict.fromkeys(texts, problem))
    return WrittenPage(page, new, tuple(sorted(right)), problems)


def write_site(
    site: Site,
    texts: Mapping[str, str],
    corrected: Mapping[str, Correction],
    undo: UndoFile | None,
) -> Iterator[WrittenPage]:
    """Write texts into the pages that show their images.

    Args:
        site: The pages.
        texts: Key of an image (see `image_key`) → its text, where a page has none.
        corrected: Key of an image → its text, where a page has a former one.
        undo: See `write_texts`.

    Yields:
        What became of each page that has such images.

    Raises:
        StorageError: No space is left, or the undo file cannot be written.
    """
    wanted: defaultdict[Path, dict[int, str]] = defaultdict(dict)
    for image in site.images:
        key, place = image_key(image), image.place
        text = texts.get(key) if place.state == "missing" else None
        correction = corrected.get(key)
        if correction is not None and " ".join(place.text.split()) in correction.former:
            text = correction.text
        if text is not None and " ".join(text.split()) != " ".join(place.text.split()):
            wanted[image.page.path][image.number] = text
    for page in site.pages:
        if page.path in wanted:
            yield write_texts(page, wanted[page.path], undo)


def _right(page: Page, edits: dict[int, tuple[Edit, str]]) -> dict[int, tuple[Edit, str]]:
    """Return the edits after which the page is as before but for their texts."""
    if _changes_only(page, edits):
        return edits
    right: dict[int, tuple[Edit, str]] = {}
    for number, edit in edits.items():
        if _changes_only(page, {**right, number: edit}):
            right[number] = edit
    return right


def _changes_only(page: Page, edits: Mapping[int, tuple[Edit, str]]) -> bool:
    new = with_texts(page.text, list(edits.values()), ascii_only=page.ascii_only)
    after = parse_page(page.path, _encoded(new)).places
    return len(after) == len(page.places) and all(
        _says(new_place, edits[number][1])
        if number in edits
        else _same(new_place, page.places[number])
        for number, new_place in enumerate(after)
    )


def _says(place: Place, text: str) -> bool:
    return place.state == "written" and " ".join(place.text.split()) == text


def _same(one: Place, other: Place) -> bool:
    return (one.address, one.others, one.state, one.text) == (
        *(other.address, other.others, other.state, other.text),
    )


def _replace(page: Page, edits: Mapping[int, tuple[Edit, str]], undo: UndoFile) -> str:
    """Replace the page's file; return why not, if it was not."""
    old, new = _pieces(page, edits)
    try:
        with storage_errors(page.path):
            if page.path.read_bytes() != page.content:
                return f"{page.path} was changed meanwhile"
        undo.record(page.path, old, new)
        # Over an "image", too: a page may begin like a drawing (`<svg>`).
        replace_file(page.path, b"".join(new), over_image=True)
    except DiskFullError:
        raise
    except StorageError as error:
        if undo.path == page.path:
            raise
        return error.message
    return ""


def _pieces(page: Page, edits: Mapping[int, tuple[Edit, str]]) -> tuple[list[bytes], list[bytes]]:
    """Return the old and the new page, in pieces of which every second one is the same."""
    old, new, done = list[bytes](), list[bytes](), 0
    for edit, text in sorted(edits.values(), key=lambda each: each[0].start):
        same = _encoded(page.text[done : edit.start])
        here = Edit(0, edit.end - edit.start, edit.syntax, edit.before, edit.after)
        replaced = page.text[edit.start : edit.end]
        written = with_texts(replaced, [(here, text)], ascii_only=page.ascii_only)
        old += [same, _encoded(replaced)]
        new += [same, _encoded(written)]
        done = edit.end
    last = _encoded(page.text[done:])
    return [*old, last], [*new, last]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
