"""Files that would keep a decoder busy are refused from their bytes, and the rest is not."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from capgen.errors import ImageError
from capgen.images import jpeg_structure, structure
from capgen.images.jpeg_structure import MOST_SCANS, jpeg_exif, jpeg_parts
from capgen.images.load import load_image
from capgen.images.structure import excess, without_metadata
from tests.broken_images import encoded, jpeg_with_scans, png_chunk, tiff

EXIF = b"Exif\0\0II*\0\x08\0\0\0\0\0"


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def behind_start(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def refusal(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        load_image(data, name="a")
    assert caught.value.hint
    return caught.value


def test_scans_of_a_jpeg() -> None:
    load_image(jpeg_with_scans(MOST_SCANS))
    error = refusal(jpeg_with_scans(MOST_SCANS + 1))
    assert (error.code, "more than 100 scans" in error.message) == ("too_large", True)


@pytest.mark.parametrize(
    "between",
    [
        b"\xff\xff",  # fill bytes before a marker
        b"\0\0",  # bytes of nothing
        segment(0xFE, b"a comment"),
        segment(0xE1, b"\xff\xd9"),  # no end, but what a segment holds
        b"\xff\x05",  # passed over by libjpeg, where restart markers are expected
        b"\xff\x05\xff\xff",  # and no length
        b"\xff\xd3",
    ],
)
def test_scans_cannot_hide(between: bytes) -> None:
    assert excess("JPEG", jpeg_with_scans(MOST_SCANS + 1, between=between))
    assert not excess("JPEG", jpeg_with_scans(MOST_SCANS, between=between))


def test_scans_of_thumbnails_and_of_later_images_do_not_count() -> None:
    many = jpeg_with_scans(MOST_SCANS)
    assert len(many) < 65_000
    data = behind_start(many, segment(0xE1, EXIF + many)) + jpeg_with_scans(MOST_SCANS)
    assert data.count(b"\xff\xda") == 3 * MOST_SCANS
    load_image(data)


def test_scans_behind_the_only_one_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most JPEGs have one scan; libjpeg ends there, and megabytes of pixels are not searched."""

    def search(data: bytes) -> None:
        raise AssertionError("searched")

    baseline, in_three = encoded("JPEG"), interleaved_not(encoded("JPEG"))
    scan = baseline[baseline.index(b"\xff\xda") : -2]
    many = baseline[:-2] + scan * MOST_SCANS + baseline[-2:]
    with pytest.raises(ImageError, match="broken"):  # at the second
        load_image(many)
    assert "more than 100 scans" in excess("JPEG", in_three[:-2] + scan * MOST_SCANS)
    monkeypatch.setattr(jpeg_structure, "jpeg_parts", search)
    assert excess("JPEG", many) == ""
    for searched in (in_three, encoded("JPEG", progressive=True)):
        with pytest.raises(AssertionError, match="searched"):
            excess("JPEG", searched)


def interleaved_not(baseline: bytes) -> bytes:
    """Return a JPEG whose first scan says that it has one component of three."""
    start = baseline.index(b"\xff\xda")
    return baseline[: start + 4] + b"\1" + baseline[start + 5 :]


def test_segments_of_a_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    data = behind_start(encoded("JPEG"), *[segment(0xE7, b"x")] * 50)
    load_image(data)
    monkeypatch.setattr(jpeg_structure, "_MOST_SEGMENTS", 50)
    assert "more than 50 segments" in refusal(data).message


@pytest.mark.parametrize("padding", [b"\xff", b"\xff\0", b"\0"])
def test_padding_of_a_jpeg(padding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = behind_start(encoded("JPEG"), segment(0xE7, b"x"), padding * 50, segment(0xE7, b"x"))
    load_image(data)
    monkeypatch.setattr(jpeg_structure, "_MOST_PADDING", 40)
    assert "bytes between its segments" in refusal(data).message
    assert "100 bytes" in refusal(data[:2] + b"\xff" * 100).message


@pytest.mark.parametrize("end", [b"", b"\0", b"\xff\xe0"])
def test_long_padding_is_passed_over_at_once(end: bytes) -> None:
    data = b"\xff\xd8" + b"\xff" * 10_000_000 + end  # for ever, if each byte began anew
    assert "bytes between its segments" in excess("JPEG", data)
    assert not any(marker == jpeg_structure.SCAN for marker, _, _ in jpeg_parts(data))


def test_run_length_encoded_bmp(monkeypatch: pytest.MonkeyPatch) -> None:
    def bmp(width: int, height: int, compression: int, content: bytes) -> bytes:
        form = struct.pack("<IiiHHII", 40, width, height, 1, 8, compression, len(content))
        head = form + struct.pack("<iiII", 0, 0, 256, 0) + bytes(1024)
        return struct.pack("<2sIHHI", b"BM", 1078 + len(content), 0, 0, 1078) + head + content

    load_image(bmp(4, 2, 1, b"\4\7\0\0" * 2 + b"\0\1"))
    assert "16,781,312 run-length" in refusal(bmp(4097, -4096, 2, b"")).message
    assert excess("BMP", bmp(4097, 4096, 0, b"")) == ""
    monkeypatch.setattr(structure, "_MOST_SPARE_BYTES", 1078)
    assert excess("BMP", bmp(4, 2, 1, bytes(20))) == ""
    assert "more data than its pixels need" in refusal(bmp(4, 2, 1, bytes(21))).message


def test_metadata_of_a_jpeg_is_not_unpacked() -> None:
    plain = encoded("JPEG", progressive=True)
    kept = segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
    dropped = [segment(0xE1, EXIF), segment(0xE2, b"ICC_PROFILE\0\1\2"), segment(0xED, b"x")]
    dropped += [segment(0xFE, b"a comment"), segment(0xEF, b"")]
    data = behind_start(plain, *dropped, kept, *dropped)
    assert without_metadata("JPEG", data) == behind_start(plain, kept)
    assert jpeg_exif(data) == EXIF
    np.testing.assert_array_equal(
        np.asarray(load_image(data).image), np.asarray(load_image(plain).image)
    )
    assert jpeg_exif(plain) == b""
    assert without_metadata("JPEG", plain) is plain


@pytest.mark.parametrize("end", [2, 3, 4, 5, 9, 30])
def test_a_jpeg_that_ends_within_its_segments(end: int) -> None:
    data = behind_start(encoded("JPEG"), segment(0xE1, EXIF))[:end]
    assert excess("JPEG", data) == ""
    assert jpeg_exif(data) in (b"", EXIF)
    assert without_metadata("JPEG", data) in (data, data.replace(segment(0xE1, EXIF), b""))


def test_chunks_of_a_png(monkeypatch: pytest.MonkeyPatch) -> None:
    png = encoded("PNG")
    data = png[:33] + png_chunk(b"tEXt", b"a\0b") * 50 + png[33:]
    load_image(data)
    monkeypatch.setattr(structure, "_MOST_CHUNKS", 50)
    assert "more than 50 chunks" in refusal(data).message


def test_blocks_of_a_gif(monkeypatch: pytest.MonkeyPatch) -> None:
    gif = encoded("GIF")
    start = 13 + (3 << (gif[10] & 7) + 1)
    comment = b"!\xfe" + b"\3abc" * 50 + b"\0"
    data = gif[:start] + comment + b"!\xff\3abc\0" + comment + gif[start:]
    load_image(data)
    assert without_metadata("GIF", data) == gif[:start] + b"!\xff\3abc\0" + gif[start:]
    for end in range(13, len(data)):
        assert gif.startswith(without_metadata("GIF", data[:end])[:start])
    monkeypatch.setattr(structure, "_MOST_BLOCKS", 103)
    assert "more than 103 blocks" in refusal(data).message
    assert "more than 103 blocks" in refusal(gif[:start] + bytes(104) + gif[start:]).message
    # Blocks behind the first image are not read.
    assert excess("GIF", gif[:-1] + comment + b";") == ""


def test_tags_of_a_tiff(monkeypatch: pytest.MonkeyPatch) -> None:
    load_image(tiff({322: (4, 1 << 13), 323: (4, 1 << 13)}))  # tiles that are not used
    assert "tiles of 8193×8192" in refusal(tiff({322: (3, 8193), 323: (4, 8192)})).message
    monkeypatch.setattr(structure, "_MOST_TIFF_TAGS", 9)
    load_image(tiff())
    assert "more than 9 tags" in refusal(tiff({305: (3, 1)})).message


def directory(*entries: bytes) -> bytes:
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + b"".join(entries) + bytes(4)


def test_tags_that_share_their_data() -> None:
    megabyte = 1 << 20
    entries = [struct.pack("<HHLL", tag, 7, megabyte, 0) for tag in range(40_000, 40_003)]
    assert "hold more than the file" in excess("TIFF", directory(*entries) + bytes(megabyte))
    assert excess("TIFF", directory(*entries[:2]) + bytes(megabyte)) == ""
    # What a cut file lacks is not held.
    assert excess("TIFF", directory(struct.pack("<HHLL", 40_000, 7, 1 << 30, 0))) == ""


@pytest.mark.parametrize("head", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
@pytest.mark.parametrize("kind", [1, 4])
def test_strips_without_number(head: bytes, kind: int) -> None:
    order, big = ("<" if head[:2] == b"II" else ">"), b"+" in head
    entry = struct.pack(order + ("HHQQ" if big else "HHLL"), 273, kind, 1_000_001, 0)
    start = struct.pack(order + ("HHQQ" if big else "LH"), *((8, 0, 16, 1) if big else (8, 1)))
    assert "1,000,001 values" in excess("TIFF", head + start + entry)
    assert excess("TIFF", head + start + entry[:-1]) == ""
