"""What each file format makes of new metadata, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image

from capgen.config import ImageLimits, MetadataOptions
from capgen.images.metadata import Unwritable, check, exif, jpeg, tiff, webp
from capgen.images.metadata.write import MetadataWriter, read_captions
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.broken_images import webp_chunks
from tests.images_with_metadata import described, encoded, segment
from tests.minis import draw

DOG = "a dog on a sofa"


def write(path: Path, data: bytes, **options: object) -> str:
    path.write_bytes(data)
    undo_file = UndoFile(path.with_name("undo.jsonl"))
    return MetadataWriter(undo_file, **options).write(path, DOG).problem


# --- WebP


def webp_parts() -> tuple[bytes, bytes]:
    """Return the content of a VP8X chunk with no flags, and that of an image chunk."""
    return bytes(4) + struct.pack("<I", 63)[:3] + struct.pack("<I", 47)[:3], encoded("WEBP")[20:]


HEADER, PIXELS = webp_parts()
SEVERAL = {
    "two headers": webp_chunks((b"VP8X", HEADER), (b"VP8X", HEADER), (b"VP8 ", PIXELS)),
    "late header": webp_chunks((b"VP8X", HEADER), (b"VP8 ", PIXELS), (b"VP8X", HEADER)),
    "two images": webp_chunks((b"VP8X", HEADER), (b"VP8 ", PIXELS), (b"VP8 ", PIXELS)),
    "two kinds": webp_chunks((b"VP8X", HEADER), (b"VP8 ", PIXELS), (b"VP8L", PIXELS)),
    "no image": webp_chunks((b"VP8X", HEADER), (b"ANMF", PIXELS)),
    "animated": webp_chunks((b"VP8X", b"\2" + HEADER[1:]), (b"VP8 ", PIXELS)),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_a_webp_with_several_or_late_headers_or_images_is_refused(
    tmp_path: Path, name: str
) -> None:
    problem = write(tmp_path / "a.webp", SEVERAL[name])
    assert "several headers or images" in problem and "--sidecar .xmp" in problem
    assert (tmp_path / "a.webp").read_bytes() == SEVERAL[name]


def test_a_webp_with_metadata_twice_is_refused(tmp_path: Path) -> None:
    header = b"\x04" + HEADER[1:]
    twice = (b"XMP ", described("")), (b"XMP ", described(""))
    data = webp_chunks((b"VP8X", header), (b"VP8 ", PIXELS), *twice)
    assert "twice" in write(tmp_path / "a.webp", data)


def test_alt_text_names_only_xmp_in_a_webps_header(tmp_path: Path) -> None:
    alt_text = MetadataOptions(metadata_field="alt-text")
    assert write(tmp_path / "a.webp", encoded("WEBP"), options=alt_text) == ""
    parts = webp.pieces((tmp_path / "a.webp").read_bytes())
    assert [part[:4] for part in parts[1:-1]] == [b"VP8X", b"VP8 ", b"XMP "]
    assert parts[1][8] == 0x04


# --- TIFF


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_keeps_all_but_the_place_of_its_first_directory(tmp_path: Path, order: str) -> None:
    data = encoded("TIFF", compression="tiff_lzw", dpi=(300, 300))
    if order == ">":
        data = big_endian_tiff()
    path = tmp_path / "a.TIF"
    assert write(path, data) == ""
    after = path.read_bytes()
    assert after[:4] == data[:4] and after[8 : len(data)] == data[8:]
    assert read_captions(after) == [DOG, DOG]
    with Image.open(path) as image:
        assert image.tag_v2[270] == DOG and b"dc:description" in image.tag_v2[700]
    assert [undone.problem for undone in undo(tmp_path / "undo.jsonl")] == [""]
    assert path.read_bytes() == data


def big_endian_tiff() -> bytes:
    """Return a TIFF of 2 × 2 grey pixels."""
    entries = [
        *((256, 3, 2), (257, 3, 2), (258, 3, 8), (259, 3, 1), (262, 3, 1)),
        *((273, 4, 8), (277, 3, 1), (278, 3, 2), (279, 4, 4)),
    ]
    directory = struct.pack(">H", len(entries))
    for tag, kind, value in entries:
        content = struct.pack(
            ">HH" if kind == 3 else ">I", *((value, 0) if kind == 3 else (value,))
        )
        directory += struct.pack(">HHI", tag, kind, 1) + content
    return b"MM\0*" + struct.pack(">I", 12) + b"\1\2\3\4" + directory + bytes(4)


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("ImageJ=1.53t\nimages=3", "how to read the file"),
        ("<?xml version='1.0'?><OME/>", "how"),
    ],
)
def test_a_description_for_programs_is_left_alone(
    tmp_path: Path, description: str, said: str
) -> None:
    data = encoded("TIFF", description=description)
    replace = MetadataOptions(on_description="replace")
    assert "how to read the file" in write(tmp_path / "a.tif", data, options=replace)
    assert (tmp_path / "a.tif").read_bytes() == data


def test_a_raw_file_is_left_alone(tmp_path: Path) -> None:
    dng = exif.with_tags(encoded("TIFF"), {50706: (exif.BYTE, b"\1\4\0\0")})
    assert "camera raw" in write(tmp_path / "a.tif", dng)
    assert "JPEG, PNG, WebP and TIFF" in write(tmp_path / "a.nef", encoded("TIFF"))
    with pytest.raises(Unwritable, match="raw"):
        tiff.pieces(b"II*\0\x10\0\0\0CR\2\0" + bytes(20))


# --- JPEG and PNG


def test_room_that_a_program_left_is_used_where_a_jpeg_is_full(tmp_path: Path) -> None:
    padded = described("") + b"\n" + b" " * 65000 + b'\n<?xpacket end="w"?>'
    data = encoded("JPEG")
    data = data[:20] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + padded) + data[20:]
    assert write(tmp_path / "a.jpg", data) == ""
    assert read_captions((tmp_path / "a.jpg").read_bytes()) == [DOG] * 3
    full = described(f"<dc:source>{'x' * 65100}</dc:source>")
    data = encoded("JPEG")
    data = data[:20] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + full) + data[20:]
    assert "no room" in write(tmp_path / "a.jpg", data)
    assert (tmp_path / "a.jpg").read_bytes() == data


def test_metadata_over_several_segments_is_left_alone(tmp_path: Path) -> None:
    data = encoded("JPEG")
    one = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + described(""))
    assert "several segments" in write(tmp_path / "a.jpg", data[:20] + one + one + data[20:])


# --- the check before the old file is replaced


def test_the_new_file_is_decoded_and_compared_before_it_replaces_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong in a format's module, the image stays as it is."""
    other = jpeg.pieces(encoded("JPEG", draw(9)))
    real = jpeg.with_blocks
    monkeypatch.setattr(jpeg, "with_blocks", lambda *given: [*real(*given)[:-1], other[-1]])
    data = encoded("JPEG")
    assert "pixels would change" in write(tmp_path / "a.jpg", data)
    monkeypatch.setattr(jpeg, "with_blocks", lambda *given: [*real(*given)[:-1], b"\xff\xda\0\2"])
    assert "cannot be decoded" in write(tmp_path / "a.jpg", data)
    monkeypatch.setattr(jpeg, "with_blocks", lambda parts, old, new: parts)
    assert "unusual way" in write(tmp_path / "a.jpg", data)
    assert (tmp_path / "a.jpg").read_bytes() == data
    assert not (tmp_path / "undo.jsonl").exists()


def test_an_image_that_another_program_changes_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "a.jpg", encoded("JPEG", draw(9))

    def edit(*given: object) -> None:
        path.write_bytes(other)

    monkeypatch.setattr("capgen.images.metadata.write.check_same_image", edit)
    assert "another program" in write(path, encoded("JPEG"))
    assert path.read_bytes() == other
    assert not (tmp_path / "undo.jsonl").exists()


def test_an_image_beyond_the_limits_is_not_decoded(tmp_path: Path) -> None:
    problem = write(tmp_path / "a.jpg", encoded("JPEG"), limits=ImageLimits(max_pixels=10))
    assert "cannot be decoded" in problem
    with pytest.raises(Unwritable):
        check.check_same_image(b"", b"", ImageLimits())
