"""Where in the bytes of an XMP packet a property is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

from capgen.images.metadata import Unwritable

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_OPENING = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
CONTAINERS = {f"{{{RDF}}}{name}" for name in ("Alt", "Bag", "Seq")}


@dataclass
class Element:
    """Where an element is: offsets in bytes.

    Attributes:
        start: Of its start tag.
        content_start: Behind its start tag.
        content_end: Before its end tag.
        end: Behind its end tag.
        language: Its `xml:lang`, if it has one.
    """

    start: int
    content_start: int
    content_end: int = 0
    end: int = 0
    language: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it is one tag, as in `<rdf:li/>`."""
        return self.content_start == self.end

    def name(self, source: bytes) -> str:
        """Return its name as it is written."""
        found = re.match(rb"<([^\s/>]+)", source[self.start : self.content_start])
        return found[1].decode() if found else ""


@dataclass
class Places:
    """Where a property is in a packet, or may be put.

    Attributes:
        description: The first `rdf:Description` in the RDF.
        attribute_of: The one that has the property as an attribute.
        attribute_name: The attribute's name without prefix.
        found: The property's element; not one deeper in the RDF, about another image.
        container: Its `rdf:Alt`, or another container.
        items: The container's items.
    """

    description: Element | None = None
    attribute_of: Element | None = None
    attribute_name: str = ""
    found: Element | None = None
    container: Element | None = None
    items: list[Element] = field(default_factory=list)


def find_places(source: bytes, tag: str) -> Places:
    """Find a property in a packet that is well-formed and UTF-8.

    Args:
        source: The packet, which begins with its first tag or a byte order mark.
        tag: The property as ElementTree writes it: `{namespace}name`.
    """
    return _Finder(source, tag).places


class _Finder:
    """Follows expat through a packet."""

    def __init__(self, source: bytes, tag: str) -> None:
        self.places = Places(attribute_name=tag.rpartition("}")[2])
        self._source, self._tag = source, tag
        # Names and places of the elements that are open.
        self._open: list[tuple[str, Element]] = []
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        self._parser = parser
        try:
            parser.Parse(source, True)
        except expat.ExpatError as error:
            raise Unwritable("its XMP data is damaged or not UTF-8") from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        opening = _OPENING.match(self._source, start)
        if opening is None:
            raise Unwritable("its XMP data is written in an unusual way")
        tag = _tag(name)
        language = next((v for k, v in attributes.items() if _tag(k) == LANGUAGE), None)
        element = Element(start, opening.end(), language=language)
        parents = [parent for parent, _ in self._open]
        places = self.places
        if tag == f"{{{RDF}}}Description" and parents[-1:] == [f"{{{RDF}}}RDF"]:
            places.description = places.description or element
            if places.attribute_of is None and self._tag in map(_tag, attributes):
                places.attribute_of = element
        elif tag == self._tag and places.found is None and parents[-2:-1] == [f"{{{RDF}}}RDF"]:
            places.found = element
        elif places.found is not None and places.found.end == 0:
            if parents[-1] == self._tag and tag in CONTAINERS and places.container is None:
                places.container = element
            elif parents[-1] in CONTAINERS and tag == f"{{{RDF}}}li":
                places.items.append(element)
        self._open.append((tag, element))

    def _end(self, name: str) -> None:
        _, element = self._open.pop()
        element.content_end = self._parser.CurrentByteIndex
        if self._source[element.start : element.content_start].endswith(b"/>"):
            element.content_end = element.end = element.content_start
        else:
            element.end = self._source.index(b">", element.content_end) + 1


def _tag(name: str) -> str:
    """Return a name of expat's as ElementTree writes it."""
    return "{" + name if "}" in name else name
