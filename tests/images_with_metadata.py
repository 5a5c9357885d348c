"""Images with the metadata that cameras, phones and programs write."""

from __future__ import annotations

import io
import struct
from xml.sax.saxutils import escape

from PIL import Image

from tests.minis import draw

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def encoded(file_format: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or draw(1)).save(buffer, file_format, **options)
    return buffer.getvalue()


def described(content: str, attributes: str = "") -> bytes:
    """Return an XMP packet with this in its rdf:Description."""
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description '
        f'rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"{attributes}>{content}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def packet(default: str | None = None, **languages: str) -> bytes:
    """Return an XMP packet with descriptions by language."""
    texts = languages if default is None else {"x-default": default, **languages}
    items = "".join(
        f'<rdf:li xml:lang="{language}">{escape(text)}</rdf:li>' for language, text in texts.items()
    )
    return described(f"<dc:description><rdf:Alt>{items}</rdf:Alt></dc:description>")


def photoshop(iptc: bytes) -> bytes:
    """Return Photoshop's resources with this IPTC data."""
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + b"\0" * (len(iptc) % 2)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


GAIN_MAP = (
    ' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
    ' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    ' xmlns:Item="http://ns.google.com/photos/1.0/container/item/"'
)


def phone_jpeg(order: str = "<", *, trailer: bytes = b"", index_first: bool = False) -> bytes:
    """Return an Ultra HDR JPEG, as phones make them: a gain map behind the image.

    Args:
        order: Byte order of the index.
        trailer: A phone's own data behind both images.
        index_first: Put the index before EXIF and XMP.
    """
    first, gain_map = encoded("JPEG"), encoded("JPEG", draw(2).convert("L").resize((32, 24)))
    directory = (
        "<Container:Directory><rdf:Seq><rdf:li rdf:parseType='Resource'><Container:Item "
        "Item:Semantic='Primary' Item:Mime='image/jpeg'/></rdf:li><rdf:li rdf:parseType='Resource'>"
        f"<Container:Item Item:Semantic='GainMap' Item:Mime='image/jpeg' Item:Length='"
        f"{len(gain_map)}'/></rdf:li></rdf:Seq></Container:Directory>"
    )
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "Phone", 6
    metadata = [
        segment(0xE1, tags.tobytes()),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + described(directory, GAIN_MAP)),
    ]
    empty = _index(order, 0, 0, 0)
    segments = [empty, *metadata] if index_first else [*metadata, empty]
    # Pillow's JFIF segment stays the first.
    head, rest = first[:20], first[20:]
    length = len(first) + sum(map(len, segments))
    place = len(head) + sum(map(len, segments[: segments.index(empty)])) + 8
    segments[segments.index(empty)] = _index(order, length, length - place, len(gain_map))
    return head + b"".join(segments) + rest + gain_map + trailer


def _index(order: str, first_size: int, second_place: int, second_size: int) -> bytes:
    """Return the segment with the index of two images (CIPA DC-007)."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}IIIHH", 0x030000, first_size, 0, 0, 0)
    entries += struct.pack(f"{order}IIIHH", 0, second_size, second_place, 0, 0)
    directory = struct.pack(f"{order}H", 3)
    directory += struct.pack(f"{order}HHI4s", 0xB000, 7, 4, b"0100")
    directory += struct.pack(f"{order}HHII", 0xB001, 4, 1, 2)
    directory += struct.pack(f"{order}HHII", 0xB002, 7, len(entries), 8 + 2 + 36 + 4)
    block = mark + struct.pack(f"{order}I", 8) + directory + struct.pack(f"{order}I", 0) + entries
    return segment(0xE2, b"MPF\0" + block)


def second_image(data: bytes, length: int) -> bytes:
    """Return the image that the index of a JPEG leads to, as a reader finds it."""
    start = data.index(b"MPF\0") + 4
    order = "<" if data[start : start + 2] == b"II" else ">"
    first = start + 8 + 2 + 36 + 4
    (size,) = struct.unpack_from(f"{order}I", data, first + 4)
    second_size, place = struct.unpack_from(f"{order}II", data, first + 16 + 4)
    assert second_size == length
    assert size == start + place  # the first image ends where the second begins
    return data[start + place : start + place + second_size]
