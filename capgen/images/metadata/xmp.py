"""Texts in XMP (ISO 16684-1): dc:description, and the alt text of IPTC.

Both are "language alternatives": a text for each language, and a default one. Only the default
text is changed in the packet's bytes, which are then parsed again to verify that.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from capgen.images.metadata import Unwritable
from capgen.images.metadata.xmp_places import LANGUAGE, RDF, Element, Places, find_places

DEFAULT = "x-default"
# Usually kilobytes; megabytes with masks that were painted by hand.
_LARGEST = 1 << 26
_NEW = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f' <rdf:RDF xmlns:rdf="{RDF}">\n'
    '  <rdf:Description rdf:about=""/>\n'
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="w"?>'
).encode()
_PADDING = re.compile(rb"\s+(?=<\?xpacket end=)")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*\bencoding\s*=\s*["'](?!utf-8["'])""", re.IGNORECASE)

# Which bytes to replace (first, and behind the last), and by what.
Edit = tuple[int, int, str]


@dataclass(frozen=True)
class Property:
    """A property of an image: a language alternative, or a list (see `xmp_lists`).

    Attributes:
        namespace: Its namespace.
        prefix: The namespace's usual prefix.
        name: Its name there.
    """

    namespace: str
    prefix: str
    name: str

    @property
    def tag(self) -> str:
        """The name as ElementTree writes it."""
        return f"{{{self.namespace}}}{self.name}"


DESCRIPTION = Property("http://purl.org/dc/elements/1.1/", "dc", "description")
# IPTC Photo Metadata Standard 2021.1.
ALT_TEXT = Property(
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", "Iptc4xmpCore", "AltTextAccessibility"
)


def read_texts(packet: bytes | None, what: Property = DESCRIPTION) -> dict[str, str]:
    """Return the texts of a property by language, the default one first."""
    texts = {} if packet is None else _texts(parse(packet), what)
    return {language: texts[language] for language in sorted(texts, key=lambda key: key != DEFAULT)}


def read_values(packet: bytes | None, tag: str) -> list[str]:
    """Return the values of a simple property or of a list, by its tag (`{namespace}name`)."""
    if packet is None:
        return []
    tree = parse(packet)
    for parent in tree.iter(f"{{{RDF}}}Description"):
        if tag in parent.attrib:
            return [parent.attrib[tag]]
    found = next(tree.iter(tag), None)
    if found is None:
        return []
    items = list(found.iter(f"{{{RDF}}}li"))
    return [item.text or "" for item in items or [found]]


def with_text(packet: bytes | None, text: str, what: Property = DESCRIPTION) -> bytes:
    """Return a packet in which this is the property's default text; None makes a new packet."""
    text = allowed(text)
    before = read_texts(packet or None, what)
    changed = edited(packet, what, lambda source, places: [_change(source, places, text, what)])
    if read_texts(changed, what) != before | {DEFAULT: text}:
        raise Unwritable("its XMP data is written in an unusual way")
    return changed


def edited(
    packet: bytes | None, what: Property, edits: Callable[[bytes, Places], Sequence[Edit]]
) -> bytes:
    """Return a packet with edits of one property of the image; None makes a new packet.

    Args:
        packet: The packet.
        what: The property.
        edits: Returns the edits in order, given the packet's bytes and where the property is.

    Raises:
        Unwritable: The packet is damaged, or anything else in it would change.
    """
    before = packet or _NEW
    tree = parse(before)
    start = len(before) - len(before.lstrip(b"\0 \t\r\n"))
    source = before[start:]
    places = find_places(source.rstrip(b"\0 \t\r\n"), what.tag)
    pieces, end = [before[:start]], 0
    for first, last, new in edits(source, places):
        pieces += [source[end:first], new.encode()]
        end = last
    changed = b"".join([*pieces, source[end:]])
    if _everything_but(tree, what) != _everything_but(parse(changed), what):
        raise Unwritable("its XMP data is written in an unusual way")
    return changed


def without_padding(packet: bytes) -> bytes:
    """Return a packet without the padding that its writer left for changes."""
    return _PADDING.sub(b"\n", packet, count=1)


def _change(source: bytes, places: Places, text: str, what: Property) -> Edit:
    """Return the edit that makes this the default text."""
    found = places.found
    if found is None:
        return insertion(source, places, _whole(text, what))
    item = next((item for item in places.items if item.language in (DEFAULT, None)), None)
    if item is not None and item.is_empty:
        opening = source[item.start : item.end].decode().removesuffix("/>")
        return item.start, item.end, f"{opening}>{escaped(text)}</{item.name(source)}>"
    if item is not None:
        return item.content_start, item.content_end, escaped(text)
    if places.items and places.container is not None:
        return _first_item(source, places.container, text)
    return found.start, found.end, _whole(text, what)


def _whole(text: str, what: Property) -> str:
    name = f"{what.prefix}:{what.name}"
    return (
        f'<{name} xmlns:{what.prefix}="{what.namespace}" xmlns:rdf="{RDF}"><rdf:Alt>'
        f'<rdf:li xml:lang="{DEFAULT}">{escaped(text)}</rdf:li></rdf:Alt></{name}>'
    )


def _first_item(source: bytes, container: Element, text: str) -> Edit:
    """Put the default text before the others: some readers take the first."""
    prefix = container.name(source).rpartition(":")[0]
    name = f"{prefix}:li" if prefix else "li"
    item = f'<{name} xml:lang="{DEFAULT}">{escaped(text)}</{name}>'
    return container.content_start, container.content_start, item


def insertion(source: bytes, places: Places, element: str) -> Edit:
    """Put an element into the first rdf:Description, replacing an attribute of that name."""
    described = places.attribute_of or places.description
    if described is None:
        raise Unwritable("its XMP data describes nothing")
    opening = source[described.start : described.content_start].decode()
    if places.attribute_of is not None:
        opening = _without_attribute(opening, places.attribute_name)
    if not described.is_empty:
        return described.start, described.content_start, opening + element
    opening = opening.removesuffix("/>").rstrip()
    return described.start, described.end, f"{opening}>{element}</{described.name(source)}>"


def _without_attribute(opening: str, name: str) -> str:
    for prefix in re.findall(r"""\s([^\s=]+):""" + re.escape(name) + r"""\s*=""", opening):
        attribute = rf"""\s+{re.escape(prefix)}:{re.escape(name)}\s*=\s*(?:"[^"]*"|'[^']*')"""
        opening = re.sub(attribute, "", opening, count=1)
    return opening


def parse(packet: bytes) -> ElementTree.Element:
    """Parse a packet; raise Unwritable if it is damaged, not UTF-8, or declares entities."""
    if len(packet) > _LARGEST:
        raise Unwritable("its XMP data is too large")
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise Unwritable("its XMP data declares entities")
    try:
        packet.decode("utf-8")
        if _DECLARED.search(packet):
            raise ValueError("another encoding")
        return ElementTree.fromstring(packet.strip(b"\0 \t\r\n"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # or an odd encoding
        raise Unwritable("its XMP data is damaged or not UTF-8") from error


def _texts(tree: ElementTree.Element, what: Property) -> dict[str, str]:
    nodes = about_the_image(tree)
    for node in nodes:
        if what.tag in node.attrib:
            return {DEFAULT: node.attrib[what.tag]}
    texts: dict[str, str] = {}
    for found in (child for node in nodes for child in node if child.tag == what.tag):
        items = list(found.iter(f"{{{RDF}}}li"))
        if any(len(item) for item in items):
            raise Unwritable("its XMP data is written in an unusual way")
        for item in items:
            texts.setdefault(item.get(LANGUAGE, DEFAULT), item.text or "")
        if not items and (found.text or "").strip():
            texts.setdefault(DEFAULT, found.text or "")
    return texts


def about_the_image(tree: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the elements with the image's own properties.

    Deeper in the packet, a composition keeps those of its ingredients (xmpMM:Pantry).
    """
    return [node for rdf in tree.iter(f"{{{RDF}}}RDF") for node in rdf]


def _everything_but(tree: ElementTree.Element, what: Property) -> list[tuple[object, ...]]:
    """Return everything in a tree but a property of the image, in order."""
    nodes = set(about_the_image(tree))
    found: list[tuple[object, ...]] = []
    waiting = [(0, tree)]  # a packet may be deeper than Python's stack
    while waiting:
        depth, element = waiting.pop()
        left_out = what.tag if element in nodes else None
        kept = {name: value for name, value in element.attrib.items() if name != left_out}
        found.append((depth, element.tag, kept, (element.text or "").strip()))
        waiting += [(depth + 1, c) for c in reversed(element) if c.tag != left_out]
    return found


def allowed(text: str) -> str:
    """Return text without what XML cannot hold."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")


def escaped(text: str) -> str:
    """Return text as XML writes it between tags."""
    return html.escape(text, quote=False)
