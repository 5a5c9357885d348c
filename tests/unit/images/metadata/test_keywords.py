"""Keywords in images: tags are added to a person's, which all stay, and each is there once."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capgen.config import MetadataOptions
from capgen.images.metadata import Unwritable, iptc
from capgen.images.metadata.blocks import Blocks
from capgen.images.metadata.file_formats import module_for
from capgen.images.metadata.keywords import read_keywords, with_keywords
from capgen.images.metadata.write import MetadataWriter, read_captions
from capgen.images.metadata.xmp import read_texts
from capgen.images.metadata.xmp_lists import read_list, with_list
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.images_with_metadata import described, encoded, packet, photoshop, segment
from tests.unit.images.metadata.test_other_places import extended_xmp, jpeg_with, tiff_with
from tests.unit.images.metadata.test_write import IMAGES

TEXT = "a dog on a bed"
TAGS = ("dog", "teddy bear", "犬 & <Hund>")
REPLACE = MetadataOptions(on_description="replace")
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def bag(*keywords: str, kind: str = "Bag") -> str:
    items = "".join(f"\n  <rdf:li>{text}</rdf:li>" for text in keywords)
    return f"<dc:subject><rdf:{kind}>{items}\n </rdf:{kind}></dc:subject>"


def iptc_keywords(*keywords: str, encoding: str = "utf-8") -> bytes:
    """Return Photoshop's resources with these Keywords, an object name before and a city behind."""
    utf8 = [(1, 90, b"\x1b%G")] if encoding == "utf-8" else []
    sets = [*utf8, (2, 5, b"name"), *((2, 25, each.encode(encoding)) for each in keywords)]
    sets.append((2, 90, b"Bonn"))
    return photoshop(
        b"".join(struct.pack(">BBBH", 0x1C, *kind, len(value)) + value for *kind, value in sets)
    )


def jpeg(xmp: bytes | None = None, resources: bytes | None = None) -> bytes:
    """Return a JPEG with this XMP packet and these resources."""
    segments = [] if xmp is None else [segment(0xE1, XMP + xmp)]
    if resources is not None:
        segments.append(segment(0xED, b"Photoshop 3.0\0" + resources))
    return jpeg_with(*segments)


def keywords(path: Path) -> list[list[str]]:
    data = path.read_bytes()
    module = module_for(data)
    return read_keywords(module.blocks(module.pieces(data)))


# --- whole files


@pytest.mark.parametrize("name", IMAGES)
def test_tags_are_written_read_and_undone(tmp_path: Path, name: str) -> None:
    path, log = tmp_path / name, tmp_path / "undo.jsonl"
    path.write_bytes(IMAGES[name])
    writer = MetadataWriter(UndoFile(log), REPLACE)
    assert writer.write(path, TEXT, TAGS).written
    fields = 2 if name.endswith("jpg") else 1
    assert keywords(path) == [list(TAGS)] * fields
    assert set(read_captions(path.read_bytes())) == {TEXT}
    changed = path.read_bytes()
    assert writer.write(path, TEXT, TAGS).written
    assert path.read_bytes() == changed and writer.changed == 1
    assert [undone.problem for undone in undo(log)] == [""]
    assert path.read_bytes() == IMAGES[name]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
def test_exiftool_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"), REPLACE)
    files = {**IMAGES, "hers.jpg": jpeg(described(bag("Oma")), iptc_keywords("Bonn"))}
    for name, data in files.items():
        (folder / name).write_bytes(data)
        assert writer.write(folder / name, TEXT, TAGS).written
    warned = {"progressive.jpg"}  # its colour profile is made up
    command = ["exiftool", "-j", "-G1", "-a", "-charset", "iptc=utf8", *sorted(files)]
    found = subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
    for tags in json.loads(found):
        name = tags["SourceFile"]
        hers = ["Oma", "Bonn"] if name == "hers.jpg" else []
        assert tags["XMP-dc:Subject"] == [*hers, *TAGS], name
        if name.endswith("jpg"):
            assert sorted(tags["IPTC:Keywords"]) == sorted([*hers, *TAGS]), name
        assert ("ExifTool:Warning" in tags) == (name in warned), name
        assert tags["XMP-dc:Description"] == TEXT, name


def test_without_tags_no_keyword_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(described(bag("Oma")), iptc_keywords("Bonn")))
    log = UndoFile(tmp_path / "undo.jsonl")
    MetadataWriter(log, REPLACE).write(path, TEXT)
    assert keywords(path) == [["Oma"], ["Bonn"]]
    assert log.keywords == {}
    assert "keywords" not in log.path.read_text()


def test_tags_go_in_also_where_a_description_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    before = jpeg(packet("Oma am Bahnhof"))
    path.write_bytes(before)
    log = tmp_path / "undo.jsonl"
    writer = MetadataWriter(UndoFile(log))
    outcome = writer.write(path, TEXT, TAGS)
    assert outcome.kept and not outcome.problem
    assert (writer.changed, writer.kept) == (1, 1)
    assert read_captions(path.read_bytes()) == [None, "Oma am Bahnhof", None]
    assert keywords(path) == [list(TAGS)] * 2
    # The caption that is not in it is not taken for capgen's later.
    assert UndoFile(log).captions == {}
    assert [undone.problem for undone in undo(log)] == [""]
    assert path.read_bytes() == before


# --- a person's keywords


def test_a_persons_keywords_stay_and_go_where_they_were_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(described(bag("Oma", "Ferien")), iptc_keywords("Ferien", "Köln")))
    MetadataWriter(UndoFile(tmp_path / "undo.jsonl")).write(path, TEXT, ("dog", "bed"))
    assert keywords(path) == [
        ["Oma", "Ferien", "Köln", "dog", "bed"],
        ["Ferien", "Köln", "Oma", "dog", "bed"],
    ]


@pytest.mark.parametrize("spelling", ["dog", "Dog", " DOG ", "do\u0308g"])
def test_a_keyword_that_is_there_is_not_repeated(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(described(bag(spelling))))
    tag = "dög" if "ö" in spelling or "\u0308" in spelling else "dog"
    MetadataWriter(UndoFile(tmp_path / "undo.jsonl")).write(path, TEXT, (tag, tag, "bed"))
    assert keywords(path)[0] == [spelling, "bed"]
    assert [text.strip() for text in keywords(path)[1]] == [spelling.strip(), "bed"]


def test_nothing_changes_if_a_person_wrote_every_tag() -> None:
    blocks = Blocks(None, described(bag("Dog", "bed")), iptc_keywords("other"))
    assert with_keywords(blocks, ("dog", "bed")) == (blocks, ())
    assert with_keywords(blocks, ()) == (blocks, ())
    after, added = with_keywords(blocks, ("dog", "bed", "cat"))
    assert added == ("cat",)
    assert read_keywords(after) == [
        ["Dog", "bed", "other", "cat"],
        ["other", "Dog", "bed", "cat"],
    ]


def test_keywords_of_windows_and_of_iptc_in_tiff_are_a_persons_too(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x9C9E] = "Oma;Köln\0".encode("utf-16-le")
    (tmp_path / "a.png").write_bytes(encoded("PNG", exif=tags))
    sets = b"\x1c\x02\x19\0\x03Oma"
    (tmp_path / "b.tif").write_bytes(tiff_with(33723, sets))
    (tmp_path / "c.tif").write_bytes(tiff_with(34377, photoshop(sets), 1))
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
    for name in ("a.png", "b.tif", "c.tif"):
        assert writer.write(tmp_path / name, TEXT, ("oma", "dog")).problem == ""
    assert keywords(tmp_path / "a.png") == [["Oma", "Köln", "dog"]]
    assert keywords(tmp_path / "b.tif") == keywords(tmp_path / "c.tif") == [["Oma", "dog"]]


def test_a_keyword_that_iptc_has_shortened_is_the_same(tmp_path: Path) -> None:
    long = "ä" * 40  # 80 bytes; IIM has 64
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(described(bag(long)), iptc_keywords("ä" * 32)))
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
    writer.write(path, TEXT, ("dog",))
    assert keywords(path) == [[long, "dog"], ["ä" * 32, "dog"]]
    path.write_bytes(jpeg(described(bag(long))))
    writer.write(path, TEXT, ("dog",))
    assert keywords(path) == [[long, "dog"], ["ä" * 32, "dog"]]
    # Programs that write more than IIM allows are not corrected.
    path.write_bytes(jpeg(None, iptc_keywords(long)))
    writer.write(path, TEXT, ("dog",))
    assert keywords(path) == [[long, "dog"], [long, "dog"]]


def test_texts_of_old_programs_become_utf8() -> None:
    blocks = Blocks(None, None, iptc_keywords("Köln", encoding="cp1252"))
    after, _ = with_keywords(blocks, ("dog",))
    assert read_keywords(after) == [["Köln", "dog"], ["Köln", "dog"]]
    assert iptc.read_values(after.iptc, 90) == ["Bonn"] and iptc.read_values(after.iptc, 5)


def test_letters_that_xml_cannot_hold_are_left_out() -> None:
    after, _ = with_keywords(Blocks(None, None, b""), ("a\x00 d\x1bog\n\tand bed", "\x00"))
    assert read_keywords(after) == [["a dog and bed"], ["a dog and bed"]]
    # A keyword that has nothing else stays where it is, and goes nowhere.
    hers = Blocks(None, described(bag("\u00ad", "Oma")), b"")
    assert read_keywords(with_keywords(hers, ("dog",))[0]) == [
        ["\u00ad", "Oma", "dog"],
        ["Oma", "dog"],
    ]


# --- keywords that capgen wrote


def test_former_tags_are_replaced_and_a_persons_are_not(tmp_path: Path) -> None:
    path, log = tmp_path / "a.jpg", tmp_path / "undo.jsonl"
    before = jpeg(described(bag("Oma", "dog")))
    path.write_bytes(before)
    MetadataWriter(UndoFile(log)).write(path, TEXT, ("dog", "bed"))
    assert UndoFile(log).keywords_of(path.read_bytes()) == ("bed",)
    # A run without tags leaves them, and it is still known whose they are.
    MetadataWriter(UndoFile(log), REPLACE).write(path, "another caption")
    assert keywords(path)[0] == ["Oma", "dog", "bed"]
    MetadataWriter(UndoFile(log)).write(path, TEXT, ("cat",))
    assert keywords(path) == [["Oma", "dog", "cat"]] * 2
    # No tag is left: the person's alone are.
    MetadataWriter(UndoFile(log)).write(path, TEXT, ())
    assert keywords(path) == [["Oma", "dog"]] * 2
    assert all(undone.problem == "" for undone in undo(log))
    assert path.read_bytes() == before


def test_without_the_undo_file_they_are_a_persons(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())
    MetadataWriter(UndoFile(tmp_path / "one.jsonl")).write(path, TEXT, ("dog", "bed"))
    once = path.read_bytes()
    MetadataWriter(UndoFile(tmp_path / "two.jsonl")).write(path, TEXT, ("dog", "bed"))
    assert path.read_bytes() == once
    MetadataWriter(UndoFile(tmp_path / "two.jsonl")).write(path, TEXT, ("cat",))
    assert keywords(path) == [["dog", "bed", "cat"]] * 2


@pytest.mark.parametrize("damaged", ['"Oma"', "7", "null", '{"Oma": 1}'])
def test_a_damaged_entry_takes_no_keyword_of_a_person(tmp_path: Path, damaged: str) -> None:
    path, log = tmp_path / "a.jpg", tmp_path / "undo.jsonl"
    path.write_bytes(jpeg(described(bag("O", "Oma"))))
    UndoFile(log).record(path, [b"old"], [path.read_bytes()], keywords=("Oma",))
    log.write_text(log.read_text().replace('["Oma"]', damaged))
    MetadataWriter(UndoFile(log)).write(path, TEXT, ())
    assert keywords(path)[0] == ["O", "Oma"]


# --- what is refused


def test_keywords_in_an_extended_packet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    data = jpeg_with(*extended_xmp(described(bag("Oma", *map(str, range(20))))))
    path.write_bytes(data)
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
    outcome = writer.write(path, TEXT, TAGS)
    assert outcome.refused and "keywords are spread over several segments" in outcome.problem
    assert path.read_bytes() == data
    assert writer.write(path, TEXT).written  # without tags, nothing is wrong with it


@pytest.mark.parametrize(
    "content",
    [
        "<dc:subject><rdf:Bag><rdf:li><rdf:value>a</rdf:value></rdf:li></rdf:Bag></dc:subject>",
        "<dc:subject><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></dc:subject>" * 2,
        "<dc:subject><x><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></x></dc:subject>",
        "<dc:subject><rdf:Bag><x>a</x></rdf:Bag></dc:subject>",
        "<dc:subject><rdf:Bag/><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></dc:subject>",
    ],
)
def test_lists_in_an_unusual_form_are_refused(content: str) -> None:
    before = described(content)
    with pytest.raises(Unwritable, match="unusual way"):
        with_keywords(Blocks(None, before), ("dog", "bed"))


def test_they_matter_only_if_tags_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(described("<dc:subject><rdf:Bag><x>a</x></rdf:Bag></dc:subject>")))
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
    assert "unusual way" in writer.write(path, TEXT, TAGS).problem
    assert writer.write(path, TEXT).written
    assert b"<x>a</x>" in path.read_bytes()


# --- lists in XMP


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (bag("a"), bag("a", "b")),
        (bag("a", kind="Seq"), bag("a", "b", kind="Seq")),
        (
            "<dc:subject><rdf:Bag><!-- c --><rdf:li>a</rdf:li></rdf:Bag></dc:subject>",
            "<dc:subject><rdf:Bag><!-- c --><rdf:li>a</rdf:li><rdf:li>b</rdf:li></rdf:Bag>"
            "</dc:subject>",
        ),
    ],
)
def test_an_item_is_all_that_is_added(before: str, after: str) -> None:
    title = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>t</rdf:li></rdf:Alt></dc:title>"
    packet_before, wanted = described(title + before + title), described(title + after + title)
    assert with_list(packet_before, ["a", "b"]) == wanted
    assert with_list(wanted, ["a"]) == packet_before


@pytest.mark.parametrize(
    "content",
    [
        *("", "<dc:subject/>", "<dc:subject></dc:subject>", "<dc:subject><rdf:Bag/></dc:subject>"),
        "<dc:subject><rdf:Bag></rdf:Bag></dc:subject>",
        "<dc:title>犬</dc:title>",
    ],
)
def test_a_list_that_was_empty_or_not_there(content: str) -> None:
    after = with_list(described(content), ["dog", "<bed> & 犬"])
    assert read_list(after) == ["dog", "<bed> & 犬"]
    assert read_list(with_list(after, [])) == []
    assert b"dc:subject" not in with_list(after, [])


@pytest.mark.parametrize("content", ["<dc:subject>Oma</dc:subject>", ""])
def test_a_keyword_that_is_no_list_becomes_one(content: str) -> None:
    before = described(content, "" if content else ' dc:subject="Oma" dc:format="image/jpeg"')
    assert read_list(before) == ["Oma"]
    after = with_list(before, ["Oma", "dog"])
    assert read_list(after) == ["Oma", "dog"]
    assert after.count(b"Oma") == 1 and (b"dc:format" in after) == (not content)


def test_keywords_of_ingredients_are_not_the_images() -> None:
    pantry = (
        '<m:Pantry xmlns:m="http://ns.adobe.com/xap/1.0/mm/"><rdf:Bag><rdf:li>'
        f"<rdf:Description>{bag('hers')}</rdf:Description></rdf:li></rdf:Bag></m:Pantry>"
    )
    after = with_list(described(pantry), ["dog"])
    assert read_list(after) == ["dog"] and bag("hers").encode() in after


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("aäb<&\"' 犬", min_size=1), max_size=4),
    st.lists(st.text("aäbA<&\"' 犬", min_size=1), max_size=4),
    st.lists(st.text("aäbA<&\"' 犬", min_size=1), max_size=4),
)
def test_any_keywords(hers: list[str], first: list[str], then: list[str]) -> None:
    """All of hers stay in their order, no tag is doubled, and a second run is like a first."""
    start = Blocks(None, with_list(None, hers) if hers else None, b"")
    once, own = with_keywords(start, first)
    twice, own_too = with_keywords(once, then, own)
    alone, own_alone = with_keywords(start, then)
    assert own_too == own_alone
    for field, expected in zip(read_keywords(twice), read_keywords(alone), strict=True):
        new = [text for text in field if text not in hers]
        assert len({" ".join(text.split()).casefold() for text in new}) == len(new)
        if expected:  # a former tag that stays keeps its place and its spelling
            folded = [[text.casefold() for text in each] for each in (field, expected)]
            assert sorted(folded[0]) == sorted(folded[1])
    assert read_keywords(twice)[0][: len(hers)] == hers
    assert read_texts(twice.xmp) == {}
    again, _ = with_keywords(twice, then, own_too)
    assert again == twice
