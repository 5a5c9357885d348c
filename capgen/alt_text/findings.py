"""What is wrong with the alternative texts of a site's images."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from capgen.alt_text.places import Place
from capgen.file_types import has_image_suffix


@dataclass(frozen=True)
class Rule:
    """A rule of alternative texts.

    Attributes:
        id: Its name.
        short: What it says, as a title.
        help: What to do about it.
        error: Whether breaking it is an error; otherwise it is a warning.
    """

    id: str
    short: str
    help: str
    error: bool = False


MISSING = Rule(
    "missing",
    "An image has no alternative text",
    'Write one, or an empty one (alt="") if the image is decoration. `capgen alt fill` writes '
    "captions. See WCAG 2.2, success criterion 1.1.1.",
    error=True,
)
FILE_NAME = Rule(
    "file-name",
    "An alternative text is the name of a file",
    "Say what the image shows.",
    error=True,
)
PLACEHOLDER = Rule(
    "placeholder",
    "An alternative text says nothing about its image",
    "Say what the image shows.",
    error=True,
)
IMAGE_OF = Rule(
    "image-of",
    "An alternative text begins by saying that it is of an image",
    "Screen readers say that it is an image. Begin with what it shows.",
)
TOO_LONG = Rule(
    "too-long",
    "An alternative text is long",
    "Say the most important in one sentence, and the rest in the text beside the image.",
)
REPEATED = Rule(
    "repeated",
    "Different images have the same alternative text",
    "Say what is different about each.",
)
UNREADABLE = Rule("unreadable", "A page cannot be read", "Save it as UTF-8.", error=True)
RULES = (MISSING, FILE_NAME, PLACEHOLDER, IMAGE_OF, TOO_LONG, REPEATED, UNREADABLE)

_IMAGE_OF = re.compile(
    r"(?:an?|the|this)?\s*(?:\w+\s+)?"
    r"(?:image|photo|photograph|picture|pic|graphic|illustration|drawing|screenshot|icon|logo)"
    r"\s+(?:of|showing|shows|depicting|that shows|with)\b"
    r"|(?:ein|das)?\s*(?:bild|foto)\s+(?:vo[nm]|des|der|eine[rs])\b|(?:une?|l['’])?\s*(?:image|photo)\s+d[e'’]"
    r"|(?:una?|la)?\s*(?:imagen|foto)\s+de\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"(?:(?:an?|the|my|alt(?:ernative)?|some|enter|add|insert|das|ein|mein|une?|una|l[ae]|mi)\s+)*"
    r"(?:image|img|photo|photograph|picture|pic|graphic|icon|figure|alt|alt[- ]?text|text|"
    r"bild|foto|fotografie|grafik|abbildung|beschreibung|imagen|fotograf[ií]a|descripci[oó]n|"
    r"description|description here|placeholder|untitled|todo|tbd|fixme|null|undefined|none|n/?a)"
    r"\s*(?:here)?[\s\d.:_-]*|[\W_]+",
    re.IGNORECASE,
)
# What cameras, phones and programs name files.
_CAMERA_NAME = re.compile(
    r"(?:img|image|imag|dsc[fn]?|dcim|pxl|pict|photo|picture|screen\s?shot|screenshot|scan|mvimg|"
    r"whatsapp image|untitled|wp|bildschirmfoto|captura de pantalla|capture d.[eé]cran)?"
    r"[\s_-]*\d{3,}[\d\s_.:-]*(?:at|um|a las?|à)?[\d\s_.:-]*",
    re.IGNORECASE,
)
_CODE_LIKE = re.compile(r"\S*[_\d]\S*")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        rule: The rule that is broken.
        page: The page's path, with slashes.
        line: Line, from 1; None if it is about the whole page.
        column: Column, from 1.
        message: What is wrong.
        address: The image's address as it is written.
        text: Its alternative text.
    """

    rule: Rule
    page: str
    line: int | None
    column: int | None
    message: str
    address: str = ""
    text: str = ""


@dataclass(frozen=True)
class PlacedImage:
    """An image of a site.

    Attributes:
        page: The page's path, with slashes.
        place: Where it is there.
        image: What tells it from other images: the hash of its file, or its address.
    """

    page: str
    place: Place
    image: str


def findings(images: Sequence[PlacedImage], *, max_characters: int) -> Iterator[Finding]:
    """Yield what is wrong with the alternative texts of images, in their order."""
    shared = _shared_texts(images)
    for image in images:
        place = image.place
        for rule, message in _broken(place, max_characters):
            yield _finding(image, rule, message)
        others = shared.get(_bare(place.text), 0) if place.state == "written" else 0
        if others > 1:
            message = f'{others} different images have the text "{place.text}"'
            yield _finding(image, REPEATED, message)


def _finding(image: PlacedImage, rule: Rule, message: str) -> Finding:
    place = image.place
    where = (image.page, place.line, place.column)
    return Finding(rule, *where, message, address=place.address, text=place.text)


def _broken(place: Place, max_characters: int) -> Iterator[tuple[Rule, str]]:
    text = place.text
    named = f" {place.address}" if place.address else ""
    if place.state == "missing":
        yield MISSING, f"the image{named} has no alternative text"
    if place.state != "written":
        return
    if is_file_name(text, place.address):
        yield FILE_NAME, f'"{text}" is the name of a file'
    elif _PLACEHOLDER.fullmatch(text):
        yield PLACEHOLDER, f'"{text}" does not say what is in the image'
    elif _IMAGE_OF.match(text):
        yield IMAGE_OF, f'"{text}" says that it is of an image, which screen readers say anyway'
    if len(text) > max_characters:
        yield TOO_LONG, f"the text has {len(text)} characters, more than {max_characters}"


def is_file_name(text: str, address: str) -> bool:
    """Whether an alternative text is the name of its image's file, or of another."""
    text = text.strip()
    if has_image_suffix(text) and not re.search(r"\s\S+\s", text):
        return True
    if _CAMERA_NAME.fullmatch(text):
        return True
    stem = PurePosixPath(unquote(urlsplit(address).path)).stem if _splits(address) else ""
    # "dog.jpg" may show a dog; "team_photo-2" is no text, whatever it is of.
    return bool(stem) and text == stem and _CODE_LIKE.fullmatch(stem) is not None


def _splits(address: str) -> bool:
    try:
        urlsplit(address)
    except ValueError:
        return False
    return True


def _shared_texts(images: Iterable[PlacedImage]) -> dict[str, int]:
    """Return for each text how many different images have it."""
    known: defaultdict[str, set[str]] = defaultdict(set)
    for image in images:
        if image.place.state == "written":
            known[_bare(image.place.text)].add(image.image)
    return {text: len(having) for text, having in known.items()}


def _bare(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
