"""The images of HTML, with the heading and the paragraph around each."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from capgen.alt_text.places import AltState, Edit, Place, Syntax
from capgen.alt_text.tags import Language, Tag, Text, read_html
from capgen.alt_text.templates import address_in, address_in_expression

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# What begins or ends a paragraph, besides headings.
_BLOCKS = (
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer "
    "form header hr li main nav ol p pre section summary table td th tr ul"
)
_BLOCK_NAMES = frozenset(_BLOCKS.split())
# Elements that JSX pages call images, besides `img`.
COMPONENTS = ("Image", "Img")
_ADDRESSES = ("src", "data-src", "data-original", "data-lazy-src")
# Docusaurus has the image of `Image` in `img`.
_COMPONENT_ADDRESSES = ("src", "img")
_LONGEST_CONTEXT = 300


def html_places(page: str, *, language: Language = "html") -> list[Place]:
    """Return the images of an HTML page in their order; lines and columns are not set."""
    reader = _Reader(page)
    for piece in read_html(page, language=language):
        reader.take(piece)
    return reader.places()


def place_of_tag(
    tag: Tag, *, language: Language = "html", imported: Mapping[str, str] | None = None
) -> Place | None:
    """Return the image that a tag shows, or None; lines and columns are not set.

    `imported` are the names that a page of MDX gives to files.
    """
    if tag.closes or not _is_image(tag, language):
        return None
    names = _COMPONENT_ADDRESSES if language == "jsx" else _ADDRESSES
    addresses = [*_addresses(tag, names, imported or {})]
    if not addresses and not any(map(tag.attribute, (*names, "srcset"))):
        return None  # filled in by a script, or shows nothing
    state, text = _state(tag)
    return Place(
        start=tag.start,
        line=0,
        column=0,
        address=addresses[0] if addresses else "",
        others=tuple(addresses[1:]),
        state=state,
        text=text,
        edit=_attribute_edit(tag, "shortcode" if language == "shortcode" else "html"),
    )


def _attribute_edit(tag: Tag, syntax: Syntax) -> Edit | None:
    """Return how to write the attribute `alt` of a tag."""
    alt = tag.attribute("alt")
    if alt is not None:
        return None if alt.computed else Edit(alt.start, alt.end, syntax, f'{alt.name}="', '"')
    if tag.spreads:
        return None
    source = tag.attribute("src") or tag.attribute("srcset") or tag.attribute("img")
    at = tag.name_end if source is None else source.end
    return Edit(at, at, syntax, ' alt="', '"')


def _is_image(tag: Tag, language: Language) -> bool:
    if language == "shortcode" or (language == "jsx" and tag.name in COMPONENTS):
        return True
    name = tag.name.lower()
    return name == "img" or (name == "input" and tag.value("type").lower() == "image")


def _addresses(tag: Tag, names: Sequence[str], imported: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        attribute = tag.attribute(name)
        value = "" if attribute is None else (attribute.value or "").strip()
        if attribute is not None and attribute.computed and attribute.braced:
            address = address_in_expression(value, imported)
        else:
            address = address_in(value)
        if address:
            yield address
    for candidate in reversed(tag.value("srcset").split(",")):  # the largest is often the last
        if candidate.split():
            yield candidate.split()[0]


def _state(tag: Tag) -> tuple[AltState, str]:
    alt = tag.attribute("alt")
    if alt is not None and alt.computed:
        return "computed", ""
    if alt is not None and (alt.value or "").strip():
        return "written", (alt.value or "").strip()
    if tag.spreads and alt is None:
        return "computed", ""
    hidden = tag.value("aria-hidden").lower() == "true"
    if hidden or tag.value("role").lower() in ("presentation", "none"):
        return "decoration", ""
    labelled = tag.attribute("aria-label") or tag.attribute("aria-labelledby")
    if alt is None and labelled is not None:
        return ("computed" if labelled.computed else "written"), (labelled.value or "").strip()
    # Blanks are neither a text nor the empty one that means decoration.
    return ("missing" if alt is None or alt.value else "decoration"), ""


@dataclass
class Block:
    """A heading, a paragraph or the like, with the images in it."""

    kind: str
    texts: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its text, blanks joined, cut to what a prompt needs."""
        text = " ".join("".join(self.texts).split())
        return text if len(text) <= _LONGEST_CONTEXT else text[: _LONGEST_CONTEXT - 1] + "…"


def with_context(blocks: Sequence[Block]) -> list[Place]:
    """Return the images of blocks with their headings and paragraphs.

    The paragraph is the block that an image is in if that has text, else the caption of its
    figure, else what comes before it under the same heading, else what comes after.
    """
    found = []
    heading = ""
    before = _nearest(blocks)
    after = _nearest(blocks[::-1])[::-1]
    for number, block in enumerate(blocks):
        if block.kind in HEADINGS:
            heading = block.text or heading
        around = _paragraph(block, before[number], after[number]) if block.places else ""
        found += [_in_context(place, heading, around) for place in block.places]
    return found


def _in_context(place: Place, heading: str, paragraph: str) -> Place:
    return replace(place, heading=place.heading or heading, paragraph=place.paragraph or paragraph)


def _paragraph(block: Block, before: Block | None, after: Block | None) -> str:
    if block.text and block.kind not in HEADINGS:
        return block.text
    if block.kind == "figure" and after is not None and after.kind == "figcaption":
        return after.text
    beside = after if before is None or block.kind in HEADINGS else before
    return "" if beside is None else beside.text


def _nearest(blocks: Sequence[Block]) -> list[Block | None]:
    """Return for each block the last one with text before it, unless a heading is between them."""
    found, last = list[Block | None](), None
    for block in blocks:
        found.append(last)
        if block.kind in HEADINGS:
            last = None
        elif block.text:
            last = block
    return found


class _Reader:
    """Sorts the pieces of a page into blocks."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._blocks = [Block("")]
        self._in_figure = False

    def take(self, piece: Tag | Text) -> None:
        if isinstance(piece, Text):
            self._blocks[-1].texts.append(html.unescape(self._page[piece.start : piece.end]))
            return
        name = piece.name.lower()
        if name in _BLOCK_NAMES or name in HEADINGS:
            if name == "figure":
                self._in_figure = not piece.closes
            inside = "figure" if self._in_figure and name != "figcaption" else name
            self._blocks.append(Block("" if piece.closes and not self._in_figure else inside))
        elif name == "br":
            self._blocks[-1].texts.append(" ")
        place = place_of_tag(piece)
        if place is not None:
            self._blocks[-1].places.append(place)

    def places(self) -> list[Place]:
        return with_context(self._blocks)
