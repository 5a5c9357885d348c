"""Captions inside images: read back, pixels the same, everything else kept, undone exactly."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capgen.config import MetadataOptions
from capgen.errors import DataError, DiskFullError, ProtectedFileError, StorageError
from capgen.images.metadata import Unwritable, exif, iptc, jpeg, png, tiff, webp, xmp
from capgen.images.metadata.blocks import read_descriptions, with_caption
from capgen.images.metadata.write import MetadataWriter, read_captions
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.broken_images import webp_chunks
from tests.minis import draw

TEXT = 'a "dog" & <two> cats'


def encoded(file_format: str, image: Image.Image | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    (image or draw(1)).save(buffer, file_format, **options)
    return buffer.getvalue()


def with_tags() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010E], tags[0x010F], tags[0x0112] = "old description", "Maker", 6
    tags.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    return tags


def images() -> dict[str, bytes]:
    image = draw(2)
    return {
        "plain.jpg": encoded("JPEG"),
        "progressive.jpg": encoded("JPEG", progressive=True, icc_profile=b"p" * 300),
        "tags.jpg": encoded("JPEG", exif=with_tags(), comment=b"a comment"),
        "xmp.jpg": encoded("JPEG", xmp=ATTRIBUTES),
        "trailer.jpg": encoded("JPEG") + b"a phone's own data",
        "plain.png": encoded("PNG"),
        "palette.png": encoded("PNG", image.quantize(16), transparency=3),
        "tags.png": encoded("PNG", exif=with_tags()),
        "animated.png": encoded("PNG", save_all=True, append_images=[draw(3)]),
        "lossy.webp": encoded("WEBP"),
        "lossless.webp": encoded("WEBP", lossless=True),
        "alpha.webp": encoded("WEBP", image.convert("RGBA").rotate(30), lossless=True),
        "tags.webp": encoded("WEBP", exif=with_tags(), xmp=ATTRIBUTES),
        "plain.tif": encoded("TIFF"),
        "pages.tiff": encoded("TIFF", save_all=True, append_images=[draw(3)], exif=with_tags()),
        "animated.webp": encoded("WEBP", save_all=True, append_images=[draw(3)]),
    }


ATTRIBUTES = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
    b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:a="urn:a" a:x=">" dc:description="old">'
    b"<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>title</rdf:li></rdf:Alt></dc:title>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
IMAGES = images()
REPLACE = MetadataOptions(on_description="replace")


def descriptions(module, parts: list[bytes]) -> list[str | None]:
    return read_descriptions(module.blocks(parts))


def captioned(module, parts: list[bytes], text: str) -> list[bytes]:
    old = module.blocks(parts)
    return module.with_blocks(parts, old, with_caption(old, text, REPLACE)[0])


def frames(data: bytes) -> list[np.ndarray]:
    image = Image.open(io.BytesIO(data))
    found = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        found.append(np.asarray(image.convert("RGBA")))
    return found


@pytest.mark.parametrize("name", IMAGES)
def test_written_read_and_undone(tmp_path: Path, name: str) -> None:
    path, log = tmp_path / name, tmp_path / "undo.jsonl"
    path.write_bytes(IMAGES[name])
    path.chmod(0o640)
    writer = MetadataWriter(UndoFile(log), REPLACE)
    assert writer.write(path, TEXT).problem == ""
    changed = path.read_bytes()
    assert set(read_captions(changed)) == {TEXT}
    assert path.stat().st_mode & 0o777 == 0o640
    for got, wanted in zip(frames(changed), frames(IMAGES[name]), strict=True):
        np.testing.assert_array_equal(got, wanted)
    before, after = Image.open(io.BytesIO(IMAGES[name])), Image.open(io.BytesIO(changed))
    for tag, value in before.getexif().items():
        if tag not in (0x010E, 0x8769):
            assert after.getexif()[tag] == value
    assert after.getexif().get_ifd(0x8769) == before.getexif().get_ifd(0x8769)
    assert after.getexif()[0x010E] == TEXT
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    # The same caption again changes nothing; another one does.
    assert writer.write(path, TEXT).problem == ""
    assert path.read_bytes() == changed
    assert writer.write(path, "another ünïcode caption").problem == ""
    assert set(read_captions(path.read_bytes())) == {"another ünïcode caption"}
    assert writer.changed == 2
    assert [undone.problem for undone in undo(log)] == ["", ""]
    assert path.read_bytes() == IMAGES[name]
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
def test_exiftool_reads_it(tmp_path: Path) -> None:
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"), REPLACE)
    for name, data in IMAGES.items():
        (tmp_path / name).write_bytes(data)
        assert writer.write(tmp_path / name, "zwei Hünde — 犬").problem == ""
    found = json.loads(
        subprocess.run(
            ["exiftool", "-j", "-G1", "-a", *sorted(IMAGES)],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        ).stdout
    )
    for tags in found:
        name = tags["SourceFile"]
        assert tags["IFD0:ImageDescription"] == "zwei Hünde — 犬", name
        assert tags["XMP-dc:Description"] == "zwei Hünde — 犬", name
        if name.endswith("jpg"):
            assert tags["IPTC:Caption-Abstract"] == "zwei Hünde — 犬", name
        if "xmp" in name:
            assert tags["XMP-dc:Title"] == "title"


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    path, log = tmp_path / "a.jpg", tmp_path / "undo.jsonl"
    path.write_bytes(IMAGES["plain.jpg"])
    writer = MetadataWriter(UndoFile(log), dry_run=True)
    assert writer.write(path, TEXT).problem == ""
    assert (writer.changed, path.read_bytes(), log.exists()) == (1, IMAGES["plain.jpg"], False)


def simple_webp_with(kind: bytes, content: bytes) -> bytes:
    """Return a WebP without VP8X that has something behind its image, which readers ignore."""
    data = encoded("WEBP")
    assert data[12:16] == b"VP8 "
    return webp_chunks((b"VP8 ", data[20:]), (kind, content))


def webp_whose_header_names_nothing() -> bytes:
    data = encoded("WEBP", exif=with_tags())
    assert data[12:16] == b"VP8X"
    return data[:20] + b"\0" + data[21:]


@pytest.mark.parametrize(
    "data",
    [
        simple_webp_with(b"VP8 ", encoded("WEBP")[20:]),
        simple_webp_with(b"EXIF", with_tags().tobytes()),
        simple_webp_with(b"VP8X", bytes(10)),
        webp_whose_header_names_nothing(),
    ],
    ids=["two images", "turned", "late header", "unnamed"],
)
def test_a_webp_that_would_become_another_image_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(data)
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
    assert "does not name all" in writer.write(path, TEXT).problem
    assert path.read_bytes() == data


def test_other_formats_are_refused(tmp_path: Path) -> None:
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
    for file_format in ("GIF", "BMP", "AVIF", "TIFF"):  # the last by its name: a raw file, say
        path = tmp_path / "photo.nef"
        path.write_bytes(encoded(file_format))
        assert "JPEG, PNG, WebP and TIFF" in writer.write(path, TEXT).problem
        assert path.read_bytes() == encoded(file_format)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(IMAGES["plain.jpg"])
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    MetadataWriter(UndoFile(tmp_path / "undo.jsonl")).write(tmp_path / "link.jpg", TEXT)
    assert (tmp_path / "link.jpg").is_symlink()
    assert set(read_captions((tmp_path / "a.jpg").read_bytes())) == {TEXT}


def test_undo_leaves_what_changed_since(tmp_path: Path) -> None:
    log = tmp_path / "undo.jsonl"
    names = ("changed.jpg", "gone.jpg", "same.jpg")
    writer = MetadataWriter(UndoFile(log))
    for name in names:
        (tmp_path / name).write_bytes(IMAGES["plain.jpg"])
        writer.write(tmp_path / name, name)
    (tmp_path / "changed.jpg").write_bytes(IMAGES["tags.jpg"])
    (tmp_path / "gone.jpg").unlink()
    with log.open("a") as file:
        file.write('{"path": "half')
    problems = {undone.path.name: undone.problem for undone in undo(log)}
    assert problems["changed.jpg"] == "was changed since"
    assert "No such file" in problems["gone.jpg"]
    assert problems["same.jpg"] == ""
    assert (tmp_path / "changed.jpg").read_bytes() == IMAGES["tags.jpg"]
    assert (tmp_path / "same.jpg").read_bytes() == IMAGES["plain.jpg"]
    # A half-written line does not swallow the next.
    UndoFile(log).record(tmp_path / "x", [b"old"], [b"new"])
    assert len(UndoFile(log).originals) == 4
    with pytest.raises(DataError):
        list(undo(tmp_path / "nothing"))


def test_hashes_lead_back_to_the_first(tmp_path: Path) -> None:
    log = UndoFile(tmp_path / "undo.jsonl")
    log.record(tmp_path / "x", [b"one"], [b"two"])
    log.record(tmp_path / "x", [b"two"], [b"three"])
    assert len(set(log.originals.values())) == 1
    assert UndoFile(tmp_path / "undo.jsonl").originals == log.originals


# --- parts


def default_text(packet: bytes) -> str | None:
    return next(iter(xmp.read_texts(packet).values()), None)


def test_maker_notes_stay_where_they_are() -> None:
    block = with_tags().tobytes()[6:]
    longer = exif.with_description(block, TEXT)
    assert longer[8 : len(block)] == block[8:]
    assert exif.read_description(longer) == TEXT
    assert exif.read_description(exif.with_description(None, "a")) == "a"


def test_iptc_of_another_character_set() -> None:
    old = b"\x1c\x02\x78\x00\x03old" + b"\x1c\x02\x19\x00\x03key"
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(old)) + old
    block += b"8BIM\x04\x25\0\0" + struct.pack(">I", 16) + bytes(16)
    changed = iptc.with_caption(block, "Hündin 犬")
    assert iptc.read_caption(changed) == "Hündin 犬"
    assert b"key" in changed
    assert not changed.endswith(bytes(16))  # the digest follows
    long = iptc.with_caption(b"", "é" * 1500)
    assert iptc.read_caption(long) == "é" * 1000


@pytest.mark.parametrize(
    "packet",
    [
        b"not XML",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        ATTRIBUTES.decode().encode("utf-16"),
        b"<a/>",
        b"<?xml version='1.0' encoding='foo'?><a/>",
        b"<?xml version='1.0' encoding='big5'?><a/>",
        b"<?xml version='1.0' encoding='rot13'?><a/>",
    ],
)
def test_xmp_that_is_left_alone(packet: bytes) -> None:
    with pytest.raises(Unwritable):
        xmp.with_text(packet, TEXT)


def test_xmp_keeps_everything_else() -> None:
    changed = xmp.with_text(ATTRIBUTES, TEXT)
    assert b"title" in changed and b'a:x=">"' in changed and b"old" not in changed
    again = xmp.with_text(changed, "b\x00\x1b")
    assert default_text(again) == "b"
    assert again.count(b"description") == changed.count(b"description")


def test_xmp_deeper_than_the_stack() -> None:
    deep = ATTRIBUTES.replace(b"</rdf:RDF>", b"</rdf:RDF>" + b"<a>" * 5000 + b"</a>" * 5000)
    assert default_text(xmp.with_text(deep, TEXT)) == TEXT


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_xmp_chunk_that_ends_early(length: int) -> None:
    content = b"iTXtXML:com.adobe.xmp\0" + bytes(length)
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    parts = png.pieces(IMAGES["plain.png"])
    with pytest.raises(Unwritable, match="damaged"):
        descriptions(png, [*parts[:2], chunk, *parts[2:]])


def test_compressed_xmp_and_its_limit() -> None:
    def image(packet: bytes) -> list[bytes]:
        text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet)
        parts = png.pieces(IMAGES["plain.png"])
        check = struct.pack(">I", zlib.crc32(b"iTXt" + text))
        chunk = struct.pack(">I", len(text)) + b"iTXt" + text + check
        return [*parts[:2], chunk, *parts[2:]]

    assert descriptions(png, image(ATTRIBUTES))[1] == "old"
    assert descriptions(png, captioned(png, image(ATTRIBUTES), TEXT)) == [TEXT, TEXT]
    with pytest.raises(Unwritable, match="too large"):
        descriptions(png, image(ATTRIBUTES + b" " * (1 << 23)))


def test_no_room() -> None:
    parts = jpeg.pieces(IMAGES["plain.jpg"])
    with pytest.raises(Unwritable, match="no room"):
        captioned(jpeg, parts, "x" * 70000)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(IMAGES)),
    cut=st.none() | st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
)
def test_damage_is_refused_or_kept(
    name: str, cut: float | None, flips: list[tuple[float, int]]
) -> None:
    data = bytearray(IMAGES[name])
    for place, value in flips:
        data[int(place**2 * (len(data) - 1))] = value
    if cut is not None:
        data = data[: int(cut * len(data))]
    whole = bytes(data)
    for module in (jpeg, png, webp, tiff):
        magic = {jpeg: b"\xff\xd8\xff", png: png.MAGIC, webp: b"RIFF", tiff: b"II*\0"}[module]
        if not whole.startswith(magic) or len(whole) < 20:
            continue
        try:
            old = module.pieces(whole)
            new = captioned(module, old, TEXT)
        except Unwritable:
            continue
        assert b"".join(old) == whole
        assert set(descriptions(module, new)) == {TEXT}


# --- images that cannot be written


NOBODY = 65534
AS_NOBODY = f"""
import os, sys
from pathlib import Path
from capgen.images.metadata.write import MetadataWriter
from capgen.undo import undo
from capgen.undo_file import UndoFile
folder, log = Path(sys.argv[1]), Path(sys.argv[2])
writer = MetadataWriter(UndoFile(log), dry_run=True)
writer.write(folder / "open" / "a.jpg", "a dog")  # imports everything while it may
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
for dry_run in (True, False):
    writer = MetadataWriter(UndoFile(log), dry_run=dry_run)
    for place in ("closed", "open"):
        print(repr(writer.write(folder / place / "a.jpg", "a dog").problem), writer.changed)
(folder / "open").chmod(0o555)
print([undone.problem for undone in undo(log)])
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX only")
def test_a_folder_that_may_not_be_written_is_a_problem_of_its_images(tmp_path: Path) -> None:
    for parent in tmp_path, *tmp_path.parents[:-1]:
        if parent.owner() == tmp_path.owner() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    logs = tmp_path / "logs"
    for name in ("open", "closed", "logs"):
        (tmp_path / name).mkdir()
        if os.geteuid() == 0:
            os.chown(tmp_path / name, NOBODY, NOBODY)
        if name != "logs":
            (tmp_path / name / "a.jpg").write_bytes(IMAGES["plain.jpg"])
            if os.geteuid() == 0:
                os.chown(tmp_path / name / "a.jpg", NOBODY, NOBODY)
    (tmp_path / "closed").chmod(0o555)
    result = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(tmp_path), str(logs / "undo.jsonl")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    closed = f"'Not allowed to write {tmp_path / 'closed' / 'a.jpg'}'"
    assert (result.stderr, result.stdout.splitlines()) == (
        "",
        [
            *(f"{closed} 0", "'' 1", f"{closed} 0", "'' 1"),
            f"['Not allowed to write {tmp_path / 'open' / 'a.jpg'}']",
        ],
    )
    assert (tmp_path / "closed" / "a.jpg").read_bytes() == IMAGES["plain.jpg"]
    # What did not happen is not written down.
    assert len((logs / "undo.jsonl").read_text().splitlines()) == 1


def test_what_is_no_file_any_more_is_a_problem_of_its_own(tmp_path: Path) -> None:
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name in ("pipe.jpg", "folder.jpg", "gone.jpg", "loop.jpg", f"{'n' * 300}.jpg"):
        assert name in writer.write(tmp_path / name, TEXT).problem
    assert not (tmp_path / "undo.jsonl").exists()


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 251}.jpg"
    path.write_bytes(IMAGES["plain.jpg"])
    assert MetadataWriter(UndoFile(tmp_path / "undo.jsonl")).write(path, TEXT).problem == ""
    assert set(read_captions(path.read_bytes())) == {TEXT}


def test_without_room_or_undo_file_the_run_ends(
    tmp_path: Path, make_disk: Callable[[str], Path]
) -> None:
    disk = make_disk("16k")
    (disk / "a.jpg").write_bytes(IMAGES["plain.jpg"])
    (disk / "filler").write_bytes(bytes(16384 - (disk / "a.jpg").stat().st_blocks * 512))
    with pytest.raises(DiskFullError):
        MetadataWriter(UndoFile(tmp_path / "undo.jsonl")).write(disk / "a.jpg", TEXT)
    assert (disk / "a.jpg").read_bytes() == IMAGES["plain.jpg"]
    (tmp_path / "file").write_text("")
    path = tmp_path / "a.jpg"
    path.write_bytes(IMAGES["plain.jpg"])
    with pytest.raises(StorageError, match="Cannot write"):
        MetadataWriter(UndoFile(tmp_path / "file" / "undo.jsonl")).write(path, TEXT)
    assert path.read_bytes() == IMAGES["plain.jpg"]


@pytest.mark.parametrize("content", [IMAGES["plain.jpg"], b"path\na.jpg\n", b'{"path": "a"}\n'])
def test_an_undo_file_is_not_made_of_another_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ProtectedFileError, match="x is"):
        UndoFile(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == content
    with pytest.raises(StorageError, match="folder"):
        UndoFile(tmp_path)


def test_control_characters_of_names_are_escaped_in_problems(tmp_path: Path) -> None:
    folder = tmp_path / "x\x1b[31mRED\n\ry"
    folder.mkdir()
    (folder / "a.gif").write_bytes(encoded("GIF"))
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"))
    for name in ("a.gif", "missing.jpg"):
        problem = writer.write(folder / name, TEXT).problem
        assert problem.isprintable() and rf"x\x1b[31mRED\n\ry/{name}" in problem
