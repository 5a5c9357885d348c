"""JPEGs with several images: the index leads to each of them after something was written."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from capgen.images.metadata import jpeg, mpf
from capgen.images.metadata.write import MetadataWriter, read_captions
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.images_with_metadata import encoded, phone_jpeg, second_image
from tests.minis import draw

DOG = "a dog on a sofa"
GAIN_MAP = encoded("JPEG", draw(2).convert("L").resize((32, 24)))
LAYOUTS = {
    "little": phone_jpeg("<"),
    "big": phone_jpeg(">"),
    "trailer": phone_jpeg("<", trailer=b"SEFH a phone's own data SEFT"),
    "index first": phone_jpeg(">", index_first=True),
}


def write(tmp_path: Path, data: bytes) -> tuple[str, bytes]:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    problem = MetadataWriter(UndoFile(tmp_path / "undo.jsonl")).write(path, DOG).problem
    return problem, path.read_bytes()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_gain_map_is_found_afterwards(tmp_path: Path, name: str) -> None:
    data = LAYOUTS[name]
    assert second_image(data, len(GAIN_MAP)) == GAIN_MAP  # the input is one
    problem, after = write(tmp_path, data)
    assert problem == "" and read_captions(after) == [DOG] * 3
    assert second_image(after, len(GAIN_MAP)) == GAIN_MAP
    assert b"hdrgm:Version" in after and b"Semantic='GainMap'" in after
    assert after.endswith(data[data.index(GAIN_MAP) :])
    with Image.open(io.BytesIO(after)) as image:
        assert image.getexif()[0x0112] == 6 and image.getexif()[0x010F] == "Phone"
    assert [undone.problem for undone in undo(tmp_path / "undo.jsonl")] == [""]
    assert (tmp_path / "a.jpg").read_bytes() == data


def test_pillows_own_files_with_several_images(tmp_path: Path) -> None:
    images = [draw(4), draw(5)]  # with more, Pillow's own index is wrong
    data = encoded("MPO", draw(3), save_all=True, append_images=images)
    problem, after = write(tmp_path, data)
    assert problem == ""

    def frames(content: bytes) -> list[bytes]:
        with Image.open(io.BytesIO(content)) as image:
            found = []
            for number in range(image.n_frames):
                image.seek(number)
                found.append(image.convert("RGB").tobytes())
        return found

    assert len(frames(data)) == 3
    assert frames(after) == frames(data)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
@pytest.mark.parametrize("name", LAYOUTS)
def test_exiftool_finds_the_gain_map(tmp_path: Path, name: str) -> None:
    assert write(tmp_path, LAYOUTS[name])[0] == ""
    found = subprocess.run(
        ["exiftool", "-b", "-MPImage2", tmp_path / "a.jpg"], capture_output=True, check=True
    )
    assert found.stdout == GAIN_MAP


def _damaged(data: bytes, change: str) -> bytes:
    start = data.index(b"MPF\0") + 4
    content = bytearray(data)
    if change == "order":
        content[start : start + 4] = b"XX*\0"
    elif change == "directory":
        content[start + 4 : start + 8] = struct.pack("<I", 5000)
    elif change == "entries":
        content[start + 8 + 2 + 24 + 4 : start + 8 + 2 + 24 + 8] = struct.pack("<I", 17)
    elif change == "place":
        content[start + 50 + 24 : start + 50 + 28] = struct.pack("<I", 60)
    elif change == "end":
        content[start + 50 + 24 : start + 50 + 28] = struct.pack("<I", 1 << 30)
    elif change == "no tag":
        content[start + 8 + 2 + 24 : start + 8 + 2 + 26] = struct.pack("<H", 1)
    return bytes(content)


@pytest.mark.parametrize("change", ["order", "directory", "entries", "place", "end", "no tag"])
def test_a_damaged_index_is_left_alone(tmp_path: Path, change: str) -> None:
    data = _damaged(LAYOUTS["little"], change)
    assert data != LAYOUTS["little"]
    problem, after = write(tmp_path, data)
    assert "index of images is damaged" in problem and "--sidecar .xmp" in problem
    assert after == data


def test_two_indexes_are_left_alone(tmp_path: Path) -> None:
    parts = jpeg.pieces(LAYOUTS["little"])
    index = next(part for part in parts if mpf._is_index(part))
    problem, _ = write(tmp_path, b"".join([*parts[:2], index, *parts[2:]]))
    assert "several indexes of images" in problem
