"""XMP sidecars: captions are merged into what editors keep there."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.config import MetadataOptions
from capgen.errors import ProtectedFileError
from capgen.images.metadata.xmp import ALT_TEXT, read_texts
from capgen.output.sidecars import Sidecars
from capgen.overwriting import InputFiles
from capgen.records import Caption
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.images_with_metadata import described, encoded, packet

DOG = Caption(text="a dog & a cat", score=-1.0, log_probability=-1.0)
DEVELOP = ' xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+1.20"'
KEYWORDS = "<dc:subject><rdf:Bag><rdf:li>Ferien</rdf:li></rdf:Bag></dc:subject>"
SETTINGS = described(KEYWORDS, DEVELOP)
POLICIES = ("skip", "overwrite", "append", "prepend")


def write(folder: Path, name: str = "a.jpg", policy: str = "skip", **options: object) -> str:
    (folder / name).touch()
    return Sidecars(".xmp", policy, **options).write(folder / name, DOG).problem


def test_a_new_sidecar_is_xmp(tmp_path: Path) -> None:
    assert write(tmp_path) == ""
    data = (tmp_path / "a.xmp").read_bytes()
    assert data.startswith(b"<?xpacket begin=") and data.endswith(b'<?xpacket end="w"?>')
    assert read_texts(data) == {"x-default": DOG.text}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", ["a.xmp", "a.jpg.xmp"])
def test_settings_and_keywords_stay_in_both_forms_of_names(
    tmp_path: Path, policy: str, name: str
) -> None:
    (tmp_path / name).write_bytes(SETTINGS)
    for _ in range(2):
        assert write(tmp_path, "a.jpg", policy) == ""
        after = (tmp_path / name).read_bytes()
        assert read_texts(after) == {"x-default": DOG.text}
        assert DEVELOP.encode() in after and KEYWORDS.encode() in after
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.jpg", name])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("skip", "Oma"),
        ("overwrite", DOG.text),
        ("append", f"Oma, {DOG.text}"),
        ("prepend", f"{DOG.text}, Oma"),
    ],
)
def test_a_description_that_is_there(tmp_path: Path, policy: str, expected: str) -> None:
    (tmp_path / "a.xmp").write_bytes(packet("Oma", en="Grandma"))
    sidecars = Sidecars(".xmp", policy)
    assert sidecars.leaves(tmp_path / "a.jpg") == (policy == "skip")
    for _ in range(2):
        assert sidecars.write(tmp_path / "a.jpg", DOG).kept == (policy == "skip")
        texts = read_texts((tmp_path / "a.xmp").read_bytes())
        assert texts == {"x-default": expected, "en": "Grandma"}


def test_a_sidecar_without_a_description_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").write_bytes(SETTINGS)
    (tmp_path / "b.xmp").write_bytes(packet("OLYMPUS DIGITAL CAMERA"))
    (tmp_path / "c.xmp").write_bytes(b"a line of text\n")
    sidecars = Sidecars(".xmp")
    assert not any(sidecars.leaves(tmp_path / f"{name}.jpg") for name in "abcd")


def test_images_that_share_a_name_do_not_share_a_sidecar(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.CR2", "b.jpg", "B.png", "c.jpg", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "a.xmp").write_bytes(SETTINGS)  # the raw file's
    for name in ("a.jpg", "b.jpg", "B.png", "c.jpg"):
        assert write(tmp_path, name) == ""
    assert (tmp_path / "a.xmp").read_bytes() == SETTINGS
    made = sorted(path.name for path in tmp_path.glob("*.xmp"))
    assert made == ["B.png.xmp", "a.jpg.xmp", "a.xmp", "b.jpg.xmp", "c.xmp"]


@pytest.mark.parametrize("name", ["a.heic", "a.avif", "a.gif", "a.bmp", "a.psd.jpg"])
def test_images_that_cannot_be_written_into_have_one_too(tmp_path: Path, name: str) -> None:
    assert write(tmp_path, name) == ""
    assert read_texts((tmp_path / name).with_suffix(".xmp").read_bytes())


def test_the_alt_text(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").write_bytes(packet("Oma"))
    options = MetadataOptions(metadata_field="both")
    assert not Sidecars(".xmp", options=options).leaves(tmp_path / "a.jpg")
    assert write(tmp_path, options=options) == ""
    data = (tmp_path / "a.xmp").read_bytes()
    assert read_texts(data) == {"x-default": "Oma"}
    assert read_texts(data, ALT_TEXT) == {"x-default": DOG.text}
    assert Sidecars(".xmp", options=options).leaves(tmp_path / "a.jpg")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "content",
    [b"a line of text\n", b"<?xml version='1.0'?><a>", "ü".encode("utf-16"), SETTINGS[:-9]],
)
def test_what_is_not_xmp_stays_as_it_is(tmp_path: Path, policy: str, content: bytes) -> None:
    (tmp_path / "a.xmp").write_bytes(content)
    problem = write(tmp_path, "a.jpg", policy)
    assert "a.xmp" in problem and "XMP data is damaged" in problem
    assert (tmp_path / "a.xmp").read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.xmp"]


def test_images_and_inputs_are_no_xmp_sidecars(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").write_bytes(encoded("JPEG"))
    (tmp_path / "b.xmp").write_bytes(SETTINGS)
    inputs = InputFiles([tmp_path / "b.xmp"])
    for name, said in (("a.jpg", "is a JPEG image"), ("b.jpg", "is an input")):
        with pytest.raises(ProtectedFileError, match=said):
            Sidecars(".XMP", "append", inputs=inputs).check([tmp_path / name])
        assert said in write(tmp_path, name, "append", inputs=inputs)


@pytest.mark.parametrize("suffix", [".txt", ".xmp"])
def test_sidecars_of_every_kind_go_into_the_undo_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"old{suffix}").write_bytes(SETTINGS if suffix == ".xmp" else b"caf\xe9\r\n")
    for name in ("new.jpg", "old.jpg"):
        (tmp_path / name).touch()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    log = UndoFile(tmp_path / "undo" / "undo.jsonl")
    sidecars = Sidecars(suffix, "append", undo=log)
    for _ in range(2):  # again changes nothing, and writes nothing down
        assert sidecars.write(tmp_path / "new.jpg", DOG).written
        assert sidecars.write(tmp_path / "old.jpg", DOG).written
    assert (tmp_path / f"new{suffix}").exists()
    assert [undone.problem for undone in undo(log.path)] == ["", ""]
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def test_what_was_not_written_is_not_written_down(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").write_bytes(b"text")
    (tmp_path / "b.xmp").mkdir()
    (tmp_path / "c.txt").write_bytes(b"mine")
    log = UndoFile(tmp_path / "undo.jsonl")
    for name in ("a", "b"):
        assert Sidecars(".xmp", "append", undo=log).write(tmp_path / f"{name}.jpg", DOG).problem
    assert Sidecars(".txt", undo=log).write(tmp_path / "c.jpg", DOG).kept
    assert not log.path.exists()
