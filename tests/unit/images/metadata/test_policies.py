"""What becomes of a description that is there: a person's stays, a camera's does not."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from PIL import Image

from capgen.config import MetadataOptions
from capgen.errors import UsageError
from capgen.images.metadata import Unwritable, iptc, jpeg, xmp
from capgen.images.metadata.blocks import Blocks, is_filler, read_descriptions, with_caption
from capgen.images.metadata.write import MetadataWriter, read_captions
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.images_with_metadata import encoded, packet, photoshop

DOG = "a dog on a sofa"
OMA = "Oma am Bahnhof"


def options(policy: str, **more: str) -> MetadataOptions:
    return MetadataOptions(on_description=policy, **more)


def make(path: Path, description: str, **more: object) -> Path:
    tags = Image.Exif()
    tags[0x010E] = description
    path.write_bytes(encoded("JPEG", exif=tags, **more))
    return path


def writer(tmp_path: Path, policy: str = "keep", **more: str) -> MetadataWriter:
    return MetadataWriter(UndoFile(tmp_path / "undo.jsonl"), options(policy, **more))


def test_a_persons_description_is_kept_by_default(tmp_path: Path) -> None:
    path = make(tmp_path / "a.jpg", OMA)
    before = path.read_bytes()
    for _ in range(2):
        written = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
        outcome = written.write(path, DOG)
        assert (outcome.problem, outcome.kept, outcome.written) == ("", True, False)
        assert (written.kept, written.changed) == (1, 0)
    assert path.read_bytes() == before
    assert not (tmp_path / "undo.jsonl").exists()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("append", f"{OMA}, {DOG}"), ("prepend", f"{DOG}, {OMA}"), ("replace", DOG)],
)
def test_a_persons_description_is_added_to_or_replaced(
    tmp_path: Path, policy: str, expected: str
) -> None:
    path = make(tmp_path / "a.jpg", OMA)
    before = path.read_bytes()
    for _ in range(2):  # again changes nothing
        assert writer(tmp_path, policy).write(path, DOG).written
        assert read_captions(path.read_bytes()) == [expected] * 3
    assert len((tmp_path / "undo.jsonl").read_text().splitlines()) == 1
    # Another caption of capgen's takes the place of the first one, not of the person's.
    assert writer(tmp_path, policy).write(path, "a cat").written
    assert read_captions(path.read_bytes()) == [expected.replace(DOG, "a cat")] * 3
    assert [undone.problem for undone in undo(tmp_path / "undo.jsonl")] == ["", ""]
    assert path.read_bytes() == before


def test_what_capgen_wrote_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG"))
    assert writer(tmp_path).write(path, DOG).written
    assert writer(tmp_path).write(path, "a cat").written
    assert read_captions(path.read_bytes()) == ["a cat"] * 3
    # Without the undo file nobody can tell: it stays.
    (tmp_path / "undo.jsonl").unlink()
    assert writer(tmp_path).write(path, DOG).kept


def test_each_field_keeps_what_a_person_wrote_there(tmp_path: Path) -> None:
    path = make(tmp_path / "a.jpg", OMA, xmp=packet("Grandma at the station"))
    assert writer(tmp_path, "append", separator="\\n").write(path, DOG).written
    in_exif, in_xmp, in_iptc = read_captions(path.read_bytes())
    assert in_exif == f"{OMA}\n{DOG}"
    assert in_xmp == in_iptc == f"Grandma at the station\n{DOG}" or in_iptc == in_exif


@pytest.mark.parametrize(
    "filler",
    [
        *("OLYMPUS DIGITAL CAMERA", "OLYMPUS DIGITAL CAMERA         ", "DCIM", "SONY DSC"),
        *(
            "SAMSUNG CAMERA PICTURES",
            "DCIM\\100MEDIA\\DJI_0042.JPG",
            "KONICA MINOLTA DIGITAL CAMERA",
        ),
        *("MINOLTA DIGITAL CAMERA", "KODAK Digital Still Camera", "Exif_JPEG_PICTURE", "default"),
        *("Digital Camera", "oznor", "cof_soft", "DSC_0123.JPG", "IMG_2041", " \r\n", "\0\0\0"),
    ],
)
def test_what_cameras_write_counts_as_none(tmp_path: Path, filler: str) -> None:
    assert is_filler(filler)
    path = make(tmp_path / "a.jpg", filler)
    assert writer(tmp_path, "append").write(path, DOG).written
    assert read_captions(path.read_bytes()) == [DOG] * 3


@pytest.mark.parametrize(
    "text",
    [
        "My digital camera",
        "DCIM was here",
        "Oma",
        "Sony DSC and I",
        "Picture of a dog",
        "IMG",
        "P1",
    ],
)
def test_what_persons_write_does_not(text: str) -> None:
    assert not is_filler(text)


def test_other_languages_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG", xmp=packet(**{"x-default": OMA, "de": OMA, "en": "Grandma"})))
    before = path.read_bytes()
    assert writer(tmp_path).write(path, DOG).kept
    assert writer(tmp_path, "replace").write(path, DOG).written
    found = jpeg.blocks(jpeg.pieces(path.read_bytes())).xmp
    assert xmp.read_texts(found) == {"x-default": DOG, "de": OMA, "en": "Grandma"}
    assert [undone.problem for undone in undo(tmp_path / "undo.jsonl")] == [""]
    assert path.read_bytes() == before


def test_a_description_in_one_language_only_is_a_persons(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG", xmp=packet(en="Grandma")))
    assert writer(tmp_path).write(path, DOG).kept
    assert writer(tmp_path, "append").write(path, DOG).written
    found = jpeg.blocks(jpeg.pieces(path.read_bytes())).xmp
    assert xmp.read_texts(found) == {"x-default": f"Grandma, {DOG}", "en": "Grandma"}


def test_the_alt_text_can_be_chosen(tmp_path: Path) -> None:
    path = make(tmp_path / "a.jpg", OMA)
    assert writer(tmp_path, metadata_field="alt-text").write(path, DOG).written
    found = jpeg.blocks(jpeg.pieces(path.read_bytes()))
    assert xmp.read_texts(found.xmp, xmp.ALT_TEXT) == {"x-default": DOG}
    assert read_descriptions(found) == [OMA, None, None]
    assert b"Iptc4xmpCore:AltTextAccessibility" in path.read_bytes()
    # Alt text that a person wrote is a person's, too.
    (tmp_path / "undo.jsonl").unlink()
    assert writer(tmp_path, metadata_field="alt-text").write(path, "a cat").kept


def test_description_and_alt_text(tmp_path: Path) -> None:
    path = make(tmp_path / "a.jpg", OMA)
    both = writer(tmp_path, metadata_field="both")
    assert both.write(path, DOG).written  # into one of them
    assert (both.kept, both.changed) == (1, 1)
    found = jpeg.blocks(jpeg.pieces(path.read_bytes()))
    assert xmp.read_texts(found.xmp, xmp.ALT_TEXT) == {"x-default": DOG}
    assert read_descriptions(found) == [OMA, None, None]
    assert writer(tmp_path, "replace", metadata_field="both").write(path, DOG).written
    assert read_captions(path.read_bytes()) == [DOG] * 3


@pytest.mark.parametrize(
    "given", [{"on_description": "skip"}, {"metadata_field": "title"}, {"on_description": ""}]
)
def test_wrong_options(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="must be one of"):
        MetadataOptions(**given)


def test_times_and_attributes_of_an_image_stay(tmp_path: Path) -> None:
    path = make(tmp_path / "a.jpg", "")
    os.utime(path, ns=(10**18, 10**18 + 7))
    assert writer(tmp_path).write(path, DOG).written
    assert path.stat().st_mtime_ns == 10**18 + 7
    list(undo(tmp_path / "undo.jsonl"))
    assert path.stat().st_mtime_ns == 10**18 + 7


# --- IPTC


def data_set(number: int, value: bytes, record: int = 2) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(b"", "cp1252"), (b"", "utf-8"), (b"\x1b.A", "latin-1"), (b"\x1b-A", "latin-1")],
)
def test_iptc_without_utf8_is_recoded_and_says_so(mark: bytes, encoding: str) -> None:
    data = data_set(90, mark, 1) if mark else b""
    data += data_set(0, b"\0\4") + data_set(25, "Hündin".encode(encoding))
    data += data_set(25, b"plain") + data_set(202, b"\xff\xd8\xe4 an image")
    data += data_set(1, b"\xe4 a number", 3)
    after = iptc.with_caption(photoshop(data), "ein Hund – 犬")
    assert iptc.read_caption(after) == "ein Hund – 犬"
    assert data_set(90, b"\x1b%G", 1) in after and after.count(b"\x1c\x01\x5a") == 1
    assert data_set(25, "Hündin".encode()) in after and data_set(25, b"plain") in after
    # What is not text keeps its bytes.
    assert data_set(202, b"\xff\xd8\xe4 an image") in after
    assert data_set(1, b"\xe4 a number", 3) in after
    # Once more changes nothing.
    assert iptc.with_caption(after, "ein Hund – 犬") == after


@pytest.mark.parametrize(
    "data",
    [
        data_set(90, b"\x1b$B", 1) + data_set(25, b"key"),
        data_set(90, b"\x1b%G", 1) + data_set(25, b"\xe4"),
        data_set(25, b"\x81\x8d"),
    ],
    ids=["Japanese", "not what it says", "nothing known"],
)
def test_iptc_in_an_unknown_character_set_is_left_alone(data: bytes) -> None:
    with pytest.raises(Unwritable, match="unknown character set"):
        iptc.with_caption(photoshop(data), DOG)
    with pytest.raises(Unwritable, match="unknown character set"):
        iptc.read_caption(photoshop(data))


def test_iptc_twice_is_left_alone() -> None:
    with pytest.raises(Unwritable, match="twice"):
        iptc.with_caption(photoshop(data_set(25, b"a")) * 2, DOG)


def test_a_long_caption_is_cut_in_iptc_only(tmp_path: Path) -> None:
    long = "ein Hünd " * 400
    blocks = Blocks(exif=None, xmp=None, iptc=b"")
    after, kept = with_caption(blocks, long, options("keep"))
    in_exif, in_xmp, in_iptc = read_descriptions(after)
    assert in_exif == in_xmp == long and not kept
    assert in_iptc is not None and 1990 < len(in_iptc.encode()) <= 2000 and long.startswith(in_iptc)
    assert with_caption(after, long, options("keep"))[0] is after
    # A person's that is longer already is not cut.
    data = data_set(120, b"x" * 3000)
    persons = Blocks(exif=None, xmp=None, iptc=photoshop(data))
    after, _ = with_caption(persons, DOG, options("append"))
    assert (read_descriptions(after)[2] or "").startswith("x" * 3000)


def test_an_old_description_in_windows_letters_is_read(tmp_path: Path) -> None:
    path = make(tmp_path / "a.jpg", "Hxndin")
    path.write_bytes(path.read_bytes().replace(b"Hxndin", b"H\xfcndin"))
    assert read_captions(path.read_bytes())[0] == "Hündin"
    assert writer(tmp_path, "append").write(path, DOG).written
    assert read_captions(path.read_bytes()) == [f"Hündin, {DOG}"] * 3
