"""exiftool and exiv2 read what was there before, plus the caption."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from capgen.config import MetadataOptions
from capgen.images.metadata.write import MetadataWriter
from capgen.output.sidecars import Sidecars
from capgen.records import Caption
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.images_with_metadata import described, encoded, packet, phone_jpeg
from tests.minis import draw
from tests.unit.images.metadata.test_write import IMAGES
from tests.unit.images.samples import SEEDS

TEXT = "zwei Hünde & <ein> Haus"
DOG = Caption(text=TEXT, score=-1.0, log_probability=-1.0)
REPLACE = MetadataOptions(on_description="replace")
SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "BMP": "bmp"}


def _suffix(data: bytes) -> str:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return SUFFIXES.get(str(image.format), str(image.format).lower())


FILES = {
    **IMAGES,
    **{f"{name}.{_suffix(data)}": data for name, data in SEEDS.items()},
    "gain map.jpg": phone_jpeg("<", trailer=b"a phone's own data"),
    "gain map, big endian.jpg": phone_jpeg(">"),
    "several.jpg": encoded("MPO", save_all=True, append_images=[draw(4), draw(5)]),
}
WRITTEN = (".jpg", ".png", ".webp", ".tif", ".tiff")
# What is meant to change, and what counts bytes: sizes, dates of the file, places in it.
CHANGED = re.compile(
    r"SourceFile|System:|ExifTool:ExifToolVersion|Description$|Caption-Abstract|IPTCDigest"
    r"|MPImage(Start|Length)|ExifByteOrder|WebP_?Flags|File:FileType|MIMEType|RIFF:|PreviewImage"
)

needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
needs_exiv2 = pytest.mark.skipif(shutil.which("exiv2") is None, reason="needs exiv2")


def exiftool(folder: Path) -> dict[str, dict[str, object]]:
    found = subprocess.run(
        ["exiftool", "-j", "-G1", "-a", "-struct", *sorted(path.name for path in folder.iterdir())],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return {tags["SourceFile"]: tags for tags in json.loads(found.stdout)}


def exiv2(path: Path) -> set[str]:
    found = subprocess.run(["exiv2", "-pa", "pr", path], capture_output=True, check=False)
    return {" ".join(line.split()) for line in found.stdout.decode("utf-8", "replace").splitlines()}


def fill(folder: Path) -> None:
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)


def test_there_are_31_valid_files_and_those_of_phones() -> None:
    assert len(FILES) >= 31 + 3


@needs_exiftool
@needs_exiv2
def test_both_read_what_was_there_plus_the_caption(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder)
    before = exiftool(folder)
    before_too = {name: exiv2(folder / name) for name in FILES}
    writer = MetadataWriter(UndoFile(tmp_path / "undo.jsonl"), REPLACE)
    problems = {name: writer.write(folder / name, TEXT).problem for name in FILES}
    assert {name for name, problem in problems.items() if not problem} == {
        name for name in FILES if name.endswith(WRITTEN)
    }
    after = exiftool(folder)
    for name in FILES:
        for key, value in before[name].items():
            if not CHANGED.search(key):
                assert after[name].get(key) == value, (name, key)
        if not name.endswith(WRITTEN):
            continue
        assert after[name].get("ExifTool:Warning") == before[name].get("ExifTool:Warning"), name
        assert after[name]["IFD0:ImageDescription"] == TEXT, name
        assert after[name]["XMP-dc:Description"] == TEXT, name
        if name.endswith("jpg"):
            assert after[name]["IPTC:Caption-Abstract"] == TEXT, name
        lines = exiv2(folder / name)
        lost = {line for line in before_too[name] - lines if "escription" not in line}
        assert not lost, (name, lost)
        assert sum(TEXT in line for line in lines) == (3 if name.endswith("jpg") else 2), name
    assert all(undone.problem == "" for undone in undo(tmp_path / "undo.jsonl"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


@needs_exiftool
@needs_exiv2
def test_both_read_sidecars_of_images_that_cannot_be_written_into(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(draw(1)).save(tmp_path / "a.heic")
    for name in ("b.gif", "c.bmp"):
        draw(1).save(tmp_path / name)
    shutil.copy(tmp_path / "a.heic", tmp_path / "d.heic")
    (tmp_path / "d.heic.xmp").write_bytes(  # as darktable names it
        described(
            "<dc:subject><rdf:Bag><rdf:li>Ferien</rdf:li></rdf:Bag></dc:subject>",
            ' xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+1.20"',
        )
    )
    shutil.copy(tmp_path / "a.heic", tmp_path / "e.heic")
    (tmp_path / "e.xmp").write_bytes(packet("Oma", en="Grandma"))
    sidecars = Sidecars(".xmp", "overwrite", undo=UndoFile(tmp_path / "undo.jsonl"))
    for name in ("a.heic", "b.gif", "c.bmp", "d.heic", "e.heic"):
        assert sidecars.write(tmp_path / name, DOG).written
    names = ("a.xmp", "b.xmp", "c.xmp", "d.heic.xmp", "e.xmp")
    found = exiftool(tmp_path)
    for name in names:
        assert found[name]["XMP-dc:Description"] in (
            TEXT,
            {"_": TEXT, "en": "Grandma"},
        ), name
        assert "ExifTool:Warning" not in found[name]
        # exiv2 makes EXIF and IPTC of it, too.
        described_lines = {line for line in exiv2(tmp_path / name) if "Xmp.dc.description" in line}
        assert len(described_lines) == 1 and TEXT in next(iter(described_lines)), name
    assert found["d.heic.xmp"]["XMP-crs:Exposure2012"] == "+1.20"
    assert found["d.heic.xmp"]["XMP-dc:Subject"] == ["Ferien"]
    assert "Grandma" in str(exiv2(tmp_path / "e.xmp"))
