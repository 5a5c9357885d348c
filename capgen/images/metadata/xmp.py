"""dc:description in XMP packets (ISO 16684-1).

Only the description is changed in the packet's text, which is then parsed again to verify that.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from capgen.images.metadata import Unwritable

_DC = "http://purl.org/dc/elements/1.1/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DESCRIPTION = f"{{{_DC}}}description"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_DECLARES = r"""xmlns:([\w.-]+)\s*=\s*["']{}["']"""
_UNQUOTED, _QUOTED = r"""[^>"']""", r"""\"[^\"]*\"|'[^']*'"""
_NEW = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f' <rdf:RDF xmlns:rdf="{_RDF}">\n'
    '  <rdf:Description rdf:about=""/>\n'
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="w"?>'
)


def read_description(packet: bytes | None) -> str | None:
    """Return the default dc:description of a packet, or None."""
    return None if packet is None else _description(_parse(packet))


def with_description(packet: bytes | None, text: str) -> bytes:
    """Return a packet with this dc:description; None makes a new packet."""
    before = _NEW.encode() if packet is None else packet
    tree = _parse(before)
    source = before.decode("utf-8")
    element = (
        f'<dc:description xmlns:dc="{_DC}" xmlns:rdf="{_RDF}"><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{escape(_allowed(text))}</rdf:li></rdf:Alt></dc:description>'
    )
    changed = _replaced(source, element).encode()
    after = _parse(changed)
    same = _without_description(tree) == _without_description(after)
    if not same or _description(after) != _allowed(text):
        raise Unwritable("its XMP data is written in an unusual way")
    return changed


def _replaced(source: str, element: str) -> str:
    prefixes = "|".join(map(re.escape, re.findall(_DECLARES.format(re.escape(_DC)), source)))
    if prefixes:
        existing = re.compile(
            rf"<({prefixes}):description\b[^>]*?(?:/>|>.*?</\1:description\s*>)", re.DOTALL
        )
        if existing.search(source):
            return existing.sub(lambda _: element, source, count=1)
        attribute = re.compile(rf"""\s({prefixes}):description\s*=\s*("[^"]*"|'[^']*')""")
        source = attribute.sub("", source, count=1)
    rdf = re.search(_DECLARES.format(re.escape(_RDF)), source)
    if rdf is None:
        raise Unwritable("its XMP data has no RDF")
    name = f"{rdf[1]}:Description"
    opening = re.search(rf"<{re.escape(name)}\b(?:{_UNQUOTED}|{_QUOTED})*>", source)
    if opening is None:
        raise Unwritable("its XMP data describes nothing")
    tag = opening[0]
    closed = tag.endswith("/>")
    tag = f"{tag[:-2].rstrip()}>{element}</{name}>" if closed else tag + element
    return source[: opening.start()] + tag + source[opening.end() :]


def _parse(packet: bytes) -> ElementTree.Element:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise Unwritable("its XMP data declares entities")
    try:
        packet.decode("utf-8")
        return ElementTree.fromstring(packet.strip(b"\0 \t\r\n"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # or an odd encoding
        raise Unwritable("its XMP data is damaged or not UTF-8") from error


def _description(tree: ElementTree.Element) -> str | None:
    for parent in tree.iter(f"{{{_RDF}}}Description"):
        if _DESCRIPTION in parent.attrib:
            return parent.attrib[_DESCRIPTION]
    for element in tree.iter(_DESCRIPTION):
        items = list(element.iter(f"{{{_RDF}}}li"))
        items.sort(key=lambda item: item.get(_LANGUAGE) != "x-default")
        return items[0].text or "" if items else element.text or ""
    return None


def _without_description(tree: ElementTree.Element) -> list[tuple[object, ...]]:
    """Return everything in a tree but descriptions, in order."""
    result: list[tuple[object, ...]] = []
    waiting = [(0, tree)]  # no recursion: a packet may be deeper than Python's stack
    while waiting:
        depth, element = waiting.pop()
        kept = {name: value for name, value in element.attrib.items() if name != _DESCRIPTION}
        result.append((depth, element.tag, kept, (element.text or "").strip()))
        waiting += [(depth + 1, c) for c in reversed(element) if c.tag != _DESCRIPTION]
    return result


def _allowed(text: str) -> str:
    """Return text without characters that XML cannot hold."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
