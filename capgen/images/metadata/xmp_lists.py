"""Lists in XMP (ISO 16684-1), such as the keywords in dc:subject: an rdf:Bag of texts.

Items that stay keep their bytes, and so does everything else in the packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from capgen.images.metadata import Unwritable
from capgen.images.metadata.xmp import (
    Edit,
    Property,
    about_the_image,
    edited,
    escaped,
    insertion,
    parse,
)
from capgen.images.metadata.xmp_places import CONTAINERS, RDF, Element, Places

SUBJECT = Property("http://purl.org/dc/elements/1.1/", "dc", "subject")
_UNUSUAL = "its XMP data is written in an unusual way"


def read_list(packet: bytes | None, what: Property = SUBJECT) -> list[str]:
    """Return the items of a property of the image, in order.

    Raises:
        Unwritable: The packet is damaged, or an item is more than a text.
    """
    if not packet:
        return []
    nodes = about_the_image(parse(packet))
    found = [node.attrib[what.tag] for node in nodes if what.tag in node.attrib]
    for element in (child for node in nodes for child in node if child.tag == what.tag):
        items = _items(element)
        if items or (element.text or "").strip():
            found += [item.text or "" for item in items or [element]]
    return found


def with_list(packet: bytes | None, values: Sequence[str], what: Property = SUBJECT) -> bytes:
    """Return a packet in which these are the items; None makes a new packet.

    Args:
        packet: The packet.
        values: Items that are there and stay, in their order, and then new ones.
        what: The property.

    Raises:
        Unwritable: The packet is damaged, or written in a way that this function does not know.
    """
    old = read_list(packet, what)
    changed = edited(packet, what, lambda source, places: _edits(source, places, old, values, what))
    if read_list(changed, what) != list(values):
        raise Unwritable(_UNUSUAL)
    return changed


def _items(element: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the items of a property; raise Unwritable unless it is one list of texts, or none."""
    items = [item for container in element for item in container]
    as_usual = (
        len(element) <= 1
        and all(container.tag in CONTAINERS for container in element)
        and all(item.tag == f"{{{RDF}}}li" and not len(item) for item in items)
    )
    if not as_usual:
        raise Unwritable(_UNUSUAL)
    return items


def _edits(
    source: bytes, places: Places, old: Sequence[str], values: Sequence[str], what: Property
) -> list[Edit]:
    found, container, items = places.found, places.container, places.items
    whole = _whole(values, what) if values else ""
    if found is None:
        return [insertion(source, places, whole)]
    if container is None or not items or not values:
        return [(found.start, found.end, whole)]
    if len(items) != len(old):
        raise Unwritable(_UNUSUAL)
    gaps = _gaps(source, container, items)
    edits: list[Edit] = []
    kept = 0
    for item, gap, text in zip(items, gaps, old, strict=True):
        if kept < len(values) and values[kept] == text:
            kept += 1
        else:
            edits.append((item.start - len(gap), item.end, ""))
    name = items[0].name(source)
    added = (f"{gaps[-1]}<{name}>{escaped(text)}</{name}>" for text in values[kept:])
    return [*edits, (items[-1].end, items[-1].end, "".join(added))]


def _gaps(source: bytes, container: Element, items: Sequence[Element]) -> list[str]:
    """Return the white space before each item; nothing where a comment is."""
    ends = (container.content_start, *(item.end for item in items[:-1]))
    between = (source[end : item.start].decode() for end, item in zip(ends, items, strict=True))
    return [gap if not gap.strip() else "" for gap in between]


def _whole(values: Sequence[str], what: Property) -> str:
    name = f"{what.prefix}:{what.name}"
    items = "".join(f"<rdf:li>{escaped(text)}</rdf:li>" for text in values)
    return (
        f'<{name} xmlns:{what.prefix}="{what.namespace}" xmlns:rdf="{RDF}"><rdf:Bag>{items}'
        f"</rdf:Bag></{name}>"
    )
