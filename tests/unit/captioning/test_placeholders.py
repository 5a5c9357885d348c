"""What placeholders stand for: names of files, and metadata as cameras and programs write it."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from capgen.captioning import placeholders as module
from capgen.captioning.placeholders import LONGEST, name_key, placeholder_values
from capgen.config.templates import PLACEHOLDERS
from capgen.images.metadata import facts
from tests.images_with_metadata import described, encoded, packet, photoshop, segment

EVERY = tuple(PLACEHOLDERS)


def exif(date: str = "2024:05:31 10:11:12", description: str | None = None) -> bytes:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0x9003] = date
    if description is not None:
        tags[0x010E] = description
    return tags.tobytes()


def iptc(*sets: tuple[int, bytes]) -> bytes:
    content = b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value for number, value in sets
    )
    return photoshop(content)


def jpeg(exif_block: bytes = b"", xmp: bytes = b"", resources: bytes = b"") -> bytes:
    data = encoded("JPEG")
    segments = b""
    if exif_block:
        segments += segment(0xE1, exif_block)
    if xmp:
        segments += segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    if resources:
        segments += segment(0xED, b"Photoshop 3.0\0" + resources)
    return data[:20] + segments + data[20:]


def bag(name: str, *values: str) -> str:
    items = "".join(f"<rdf:li>{value}</rdf:li>" for value in values)
    return f"<{name}><rdf:Bag>{items}</rdf:Bag></{name}>"


PHOTOSHOP = ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'


def values(data: bytes | None, path: str | None = None) -> dict[str, str]:
    return placeholder_values(path, data, EVERY)


@pytest.mark.parametrize(
    ("path", "file", "folder"),
    [
        ("holiday/a dog.jpg", "a dog", "holiday"),
        ("/x/y/b.tar.gz.png", "b.tar.gz", "y"),
        ("shard.tar/cats/one.jpg", "one", "cats"),
        ("https://example.org/a%20b/c%21.jpg?size=3#x", "c!", "a b"),
        ("x/\udcff\n{file}.jpg", "? {file}", "x"),
        ("x/" + "n" * 900 + ".jpg", "n" * LONGEST, "x"),
    ],
)
def test_names(path: str, file: str, folder: str) -> None:
    assert values(None, path) == {"file": file, "folder": folder}
    assert placeholder_values(path, None, ["folder"]) == {"folder": folder}


def test_a_bare_name_is_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path / "cats")
    assert values(None, "a.jpg") == {"file": "a", "folder": "cats"}
    assert values(None, "../a.jpg")["folder"] == tmp_path.name
    assert values(None) == {}


def test_only_names_that_count_are_in_the_key() -> None:
    assert name_key("x/a.jpg", ["date", "place"]) == ""
    assert name_key("x/a.jpg", ["file"]) == name_key("y/a.png", ["file"]) != ""
    assert name_key("x/a.jpg", ["folder"]) != name_key("y/a.jpg", ["folder"])
    assert name_key("x/a.jpg", ["file", "folder"]) != name_key("a/x.jpg", ["file", "folder"])


def test_metadata_is_read_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.facts, "read_blocks", lambda data: pytest.fail("it was read"))
    assert placeholder_values("a/b.jpg", jpeg(), ["file"]) == {"file": "b"}


def test_exif() -> None:
    found = values(jpeg(exif(description="A dog\r\non \x00grass")))
    assert found == {"date": "2024-05-31", "caption": "A dog on"}  # a zero byte ends it
    for fmt in ("PNG", "WEBP", "TIFF"):
        data = encoded(fmt, exif=exif(description="A dog"))
        assert values(data)["caption"] == "A dog", fmt


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_the_day_in_every_format(file_format: str) -> None:
    assert values(encoded(file_format, exif=exif()))["date"] == "2024-05-31"


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "2024:13:01 00:00:00", "    :  :  ", "x"])
def test_no_day(date: str) -> None:
    assert "date" not in values(jpeg(exif(date)))
    later = described("", PHOTOSHOP + ' photoshop:DateCreated="2023-01-02T03:04:05+01:00"')
    assert values(jpeg(exif(date), later))["date"] == "2023-01-02"


def test_xmp() -> None:
    place = "<photoshop:City>Oslo</photoshop:City><photoshop:Country> Norway </photoshop:Country>"
    content = bag("dc:subject", "dog", " grass ", "", "dog") + place
    found = values(jpeg(xmp=described(content, PHOTOSHOP)))
    assert found == {"tags": "dog, grass", "place": "Oslo, Norway"}
    as_attributes = PHOTOSHOP + ' photoshop:City="Bonn" photoshop:State="NRW"'
    assert values(jpeg(xmp=described("", as_attributes))) == {"place": "Bonn, NRW"}
    assert values(jpeg(xmp=packet("A cat", de="Eine Katze"))) == {"caption": "A cat"}


def test_iptc() -> None:
    data = iptc(
        *((25, b"dog"), (25, "Fu\u00dfball".encode("latin-1"))),
        *((90, b"Oslo"), (95, b"Viken"), (101, b"Norway"), (120, b"A dog\rruns")),
    )
    assert values(jpeg(resources=data)) == {
        "tags": "dog, Fußball",
        "place": "Oslo, Viken, Norway",
        "caption": "A dog runs",
    }


def test_both_kinds_of_keywords_count_once() -> None:
    data = jpeg(xmp=described(bag("dc:subject", "dog", "cat")), resources=iptc((25, b"dog")))
    assert values(data)["tags"] == "dog, cat"


def test_what_cameras_write_is_no_description() -> None:
    assert "caption" not in values(jpeg(exif(description="OLYMPUS DIGITAL CAMERA")))


def test_texts_are_one_bounded_line() -> None:
    found = values(jpeg(xmp=packet("a\n\tb\u202e c\x85 " + "x " * 900)))["caption"]
    assert found.startswith("a b c x x ") and len(found) <= LONGEST
    assert found.isprintable()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"])
def test_without_metadata_there_is_nothing(file_format: str) -> None:
    assert values(encoded(file_format)) == {}


def test_damaged_metadata_is_nothing() -> None:
    """One damaged block hides neither the image nor the other blocks."""
    good = exif()
    for block in (good[:40], b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0", b"Exif\0\0nonsense"):
        data = jpeg(block, packet("A cat"))
        assert values(data).get("caption") == "A cat"
    data = jpeg(good, b"<x:xmpmeta", iptc((90, b"Oslo"))[:-6])
    assert values(data) == {"date": "2024-05-31"}
    assert values(b"") == values(b"\xff\xd8\xff") == values(b"text") == {}


def test_odd_bytes_never_raise() -> None:
    """Each byte of the metadata, changed; nothing but text comes out."""
    place = described(bag("dc:subject", "dog"), PHOTOSHOP + ' photoshop:City="Bonn"')
    whole = jpeg(exif(description="A dog"), place, iptc((25, b"dog"), (90, b"Oslo")))
    png = encoded("PNG", Image.new("L", (3, 3)), exif=exif(description="A dog"))
    webp = encoded("WEBP", Image.new("RGB", (3, 3)), exif=exif(), xmp=place)
    for data in (whole[:1200], png, webp):
        for at in range(len(data)):
            for value in (0, 255, data[at] ^ 1):
                changed = data[:at] + bytes([value]) + data[at + 1 :]
                for text in values(changed).values():
                    assert text.isprintable() and text == text.strip()
            values(data[:at])


def test_metadata_in_several_segments_is_read_all_the_same() -> None:
    """Writing refuses such a file, reading does not."""
    data = jpeg(exif(), resources=iptc((90, b"Oslo")))
    twice = data[:20] + segment(0xED, b"Photoshop 3.0\0" + iptc((90, b"Oslo"))) + data[20:]
    assert values(twice)["date"] == "2024-05-31"


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_what_exiftool_writes(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (16, 16)).save(path)
    tags = [
        "-DateTimeOriginal=2021:02:03 04:05:06",
        "-XMP-dc:Subject=boat",
        "-XMP-dc:Subject=lake",
        "-IPTC:City=Zürich",
        "-IPTC:Country-PrimaryLocationName=Schweiz",
        "-XMP-photoshop:State=ZH",
        "-XMP-dc:Description=Ein Boot",
    ]
    subprocess.run(["exiftool", "-q", "-overwrite_original", *tags, path], check=True)
    assert values(path.read_bytes()) == {
        "date": "2021-02-03",
        "caption": "Ein Boot",
        "tags": "boat, lake",
        "place": "Zürich, ZH, Schweiz",
    }


def test_the_facts_of_an_empty_file() -> None:
    blocks = facts.read_blocks(io.BytesIO().getvalue())
    assert (facts.date(blocks), facts.description(blocks)) == ("", "")
    assert facts.keywords(blocks) == facts.place(blocks) == ()
