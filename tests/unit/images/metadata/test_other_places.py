"""Descriptions in places that few programs use are a person's words, too."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from PIL import PngImagePlugin, TiffImagePlugin

from capgen.config import MetadataOptions
from capgen.images.metadata import exif
from capgen.images.metadata.write import MetadataWriter, read_captions
from capgen.images.metadata.xmp import read_texts, with_text
from capgen.undo_file import UndoFile
from tests.broken_images import webp_chunks
from tests.images_with_metadata import described, encoded, photoshop, segment

DOG = "a dog on a sofa"
OMA = "Omas Garten – früher"
IPTC = b"\x1c\x01\x5a\0\3\x1b%G" + b"\x1c\x02\x78" + struct.pack(">H", len(OMA.encode()))
IPTC += OMA.encode()
INGREDIENT = (
    '<m:Pantry xmlns:m="http://ns.adobe.com/xap/1.0/mm/"><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag>'
    "</m:Pantry>"
)
ELEMENT = "<dc:description><rdf:Alt><rdf:li>hers</rdf:li></rdf:Alt></dc:description>"


def jpeg_with(*segments: bytes) -> bytes:
    data = encoded("JPEG")
    return data[:20] + b"".join(segments) + data[20:]


def exif_of_type(kind: int, value: bytes, size: int = 1) -> bytes:
    entry = struct.pack("<HHHII", 1, exif.DESCRIPTION, kind, len(value) // size, 26) + bytes(4)
    return segment(0xE1, b"Exif\0\0" + struct.pack("<2sHI", b"II", 42, 8) + entry + value)


def extended_xmp(content: bytes) -> list[bytes]:
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest().upper()
    note = f' xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="{digest}"'
    main = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + described("", note))
    halves = [(0, content[:100]), (100, content[100:])]
    return [main] + [
        segment(
            0xE1,
            b"http://ns.adobe.com/xmp/extension/\0"
            + digest.encode()
            + struct.pack(">II", len(content), place)
            + half,
        )
        for place, half in reversed(halves)
    ]


def tiff_with(tag: int, value: bytes, kind: int = 7) -> bytes:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory.tagtype[tag] = kind
    directory[tag] = value
    return encoded("TIFF", tiffinfo=directory)


def png_with(*, chunk: str) -> bytes:
    texts = PngImagePlugin.PngInfo()
    if chunk == "iTXt":
        texts.add_itxt("Description", OMA, zip=True)
    else:
        texts.add_text("Description", "Grandma", zip=chunk == "zTXt")
    return encoded("PNG", pnginfo=texts)


def write(path: Path, data: bytes, policy: str = "keep") -> tuple[MetadataWriter, str]:
    path.write_bytes(data)
    writer = MetadataWriter(
        UndoFile(path.with_name("undo.jsonl")), MetadataOptions(on_description=policy)
    )
    return writer, writer.write(path, DOG).problem


ELSEWHERE = {
    "EXIF 3.0's UTF-8": jpeg_with(exif_of_type(129, OMA.encode() + b"\0")),
    "EXIF as bytes": jpeg_with(exif_of_type(1, OMA.encode())),
    "TIFF with IPTC": tiff_with(33723, IPTC),
    "TIFF with Photoshop's IPTC": tiff_with(34377, photoshop(IPTC), 1),
    "PNG tEXt": png_with(chunk="tEXt"),
    "PNG zTXt": png_with(chunk="zTXt"),
    "PNG iTXt": png_with(chunk="iTXt"),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_persons_description_in_another_place_is_kept(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.image"
    path = path.with_suffix(".tif") if name.startswith("TIFF") else path
    writer, problem = write(path, ELSEWHERE[name])
    assert (problem, writer.kept) == ("", 1)
    assert path.read_bytes() == ELSEWHERE[name]
    write(path, ELSEWHERE[name], "append")
    persons = "Grandma" if name in ("PNG tEXt", "PNG zTXt") else OMA
    assert set(read_captions(path.read_bytes())) == {f"{persons}, {DOG}"}


REFUSED = {
    "several segments": jpeg_with(*extended_xmp(described(ELEMENT))),
    "unusual way": jpeg_with(exif_of_type(3, b"G\0r\0a\0n\0d\0m\0a\0", 2)),
    "several IPTC captions": jpeg_with(
        segment(0xED, b"Photoshop 3.0\0" + photoshop(b"\x1c\x02\x78\0\0" + IPTC[8:]))
    ),
}


@pytest.mark.parametrize("policy", ["keep", "append", "replace"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_description_that_cannot_be_kept_is_refused(
    tmp_path: Path, name: str, policy: str
) -> None:
    path = tmp_path / "a.jpg"
    assert name in write(path, REFUSED[name], policy)[1]
    assert path.read_bytes() == REFUSED[name]


def test_extended_xmp_without_a_description_stays(tmp_path: Path) -> None:
    extended = extended_xmp(described("<dc:source>a depth map, for example</dc:source>"))
    path = tmp_path / "a.jpg"
    assert write(path, jpeg_with(*extended))[0].changed == 1
    assert all(piece in path.read_bytes() for piece in extended[1:])


HEADER = bytes(4) + struct.pack("<I", 63)[:3] + struct.pack("<I", 47)[:3]
PNG = encoded("PNG")
SIGNED = {
    "a.jpg": jpeg_with(segment(0xEB, b"JP\0\1\0\0\0\1" + b"\0\0\0\x40jumb\0\0\0\x1ejumdc2pa")),
    "a.png": PNG[:33] + struct.pack(">I", 4) + b"caBXjumb" + bytes(4) + PNG[33:],
    "a.webp": webp_chunks((b"VP8X", HEADER), (b"VP8 ", encoded("WEBP")[20:]), (b"C2PA", b"jumb")),
    "a.tif": tiff_with(52545, b"jumbc2pa"),
}


@pytest.mark.parametrize("name", SIGNED)
def test_an_image_with_content_credentials_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert "Content Credentials" in write(path, SIGNED[name])[1]
    assert path.read_bytes() == SIGNED[name]


@pytest.mark.parametrize(
    "ingredient",
    [
        f"<rdf:Description>{ELEMENT}</rdf:Description>",
        '<rdf:Description dc:description="hers"/>',
        f'<rdf:Description rdf:about=""><dc:relation>{ELEMENT}</dc:relation></rdf:Description>',
    ],
)
def test_the_description_of_an_ingredient_is_not_the_images(ingredient: str) -> None:
    pantry = INGREDIENT.format(ingredient)
    for before in (described(pantry), described(pantry + ELEMENT.replace("hers", "mine"))):
        after = with_text(before, DOG)
        assert read_texts(after) == {"x-default": DOG}
        assert pantry.encode() in after
    assert read_texts(described(pantry)) == {}


OLD = {
    "Russian": "Бабушкин сад".encode("cp1251"),
    "Chinese": "奶奶的花园".encode("gbk"),
    "Japanese": "おばあさんの庭".encode("shift_jis"),
}


@pytest.mark.parametrize("name", OLD)
def test_words_in_an_old_encoding_are_not_garbled(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jpg"
    data = jpeg_with(exif_of_type(2, OLD[name] + b"\0"))
    writer, problem = write(path, data)
    assert (problem, writer.kept) == ("", 1)
    for policy in ("append", "prepend"):
        assert "unknown character set" in write(path, data, policy)[1]
        assert path.read_bytes() == data
    assert not write(path, data, "replace")[1]
    keyword = b"\x1c\x02\x19" + struct.pack(">H", len(OLD[name])) + OLD[name]
    data = jpeg_with(segment(0xED, b"Photoshop 3.0\0" + photoshop(keyword)))
    for policy in ("keep", "replace"):
        assert "unknown character set" in write(path, data, policy)[1]
        assert path.read_bytes() == data


def test_western_words_in_an_old_encoding_are_read(tmp_path: Path) -> None:
    data = jpeg_with(exif_of_type(2, "Müllers Café, 5 €".encode("cp1252") + b"\0"))
    assert not write(tmp_path / "a.jpg", data, "append")[1]
    assert set(read_captions((tmp_path / "a.jpg").read_bytes())) == {f"Müllers Café, 5 €, {DOG}"}


def test_a_bigtiff_is_called_so(tmp_path: Path) -> None:
    data = encoded("TIFF", big_tiff=True)
    assert "BigTIFF" in write(tmp_path / "a.tif", data)[1]
    assert (tmp_path / "a.tif").read_bytes() == data
