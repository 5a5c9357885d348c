from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from capgen.config.archives import UnpackLimits
from capgen.data.dataset import load_dataset
from capgen.data.formats.reading import ReadOptions
from capgen.data.import_set import import_dataset
from capgen.errors import DataError
from tests import minis
from tests.minis import make_images


def test_archives_are_unpacked_once_and_again_when_they_change(tmp_path: Path, home: Path) -> None:
    root = minis.write_zipped(tmp_path / "set", make_images())
    first = load_dataset(root).examples[0].image
    written = first.stat().st_mtime_ns
    assert load_dataset(root).examples[0].image.stat().st_mtime_ns == written
    with zipfile.ZipFile(root / "images.zip", "a") as archive:
        archive.writestr("more.txt", "x")
    assert load_dataset(root).examples[0].image != first


def test_tar_archives_too(tmp_path: Path, home: Path) -> None:
    root = minis.write_table(tmp_path / "set", make_images())
    expected = load_dataset(root).digest
    with tarfile.open(root / "images.tar.gz", "w:gz") as archive:
        archive.add(root / "images", "images")
    shutil.rmtree(root / "images")
    assert load_dataset(root).digest == expected


def test_an_archive_beside_images_is_a_copy_of_them(tmp_path: Path, home: Path) -> None:
    root = minis.write_table(tmp_path / "set", make_images())
    (root / "images.zip").write_bytes(b"no archive")
    dataset = load_dataset(root)
    assert len(dataset.examples) == 10 and dataset.problems == []


def test_an_archive_may_be_named(tmp_path: Path, home: Path) -> None:
    root = minis.write_zipped(tmp_path / "set", make_images())
    (root / "images.zip").rename(tmp_path / "photos.zip")
    options = ReadOptions(images=tmp_path / "photos.zip")
    assert len(load_dataset(root, options=options).examples) == 10


def test_equal_names_in_two_archives_stay_apart(tmp_path: Path, home: Path) -> None:
    root = minis.write_imagefolder(tmp_path / "set", make_images())
    for split in ("train", "val", "test"):
        for number, image in enumerate(sorted((root / split).glob("*.jpg"))):
            image.rename(image.with_name(f"{number}.jpg"))
        names = sorted(path.name for path in (root / split).glob("*.jpg"))
        rows = [f"{name},{split} {name}\n" for name in names]
        (root / split / "metadata.jsonl").unlink()
        (root / split / "metadata.csv").write_text("file_name,text\n" + "".join(rows))
    expected = {e.references: e.image.read_bytes() for e in load_dataset(root).examples}
    for split in ("train", "val", "test"):
        with zipfile.ZipFile(root / split / f"{split}.zip", "w") as archive:
            for image in (root / split).glob("*.jpg"):
                archive.write(image, image.name)
                image.unlink()
    found = load_dataset(root)
    assert {e.references: e.image.read_bytes() for e in found.examples} == expected


def test_members_that_lead_out_are_left_out_and_told(tmp_path: Path, home: Path) -> None:
    root = minis.write_zipped(tmp_path / "set", make_images())
    with zipfile.ZipFile(root / "images.zip", "a") as archive:
        archive.writestr("../../evil.jpg", b"x")
    dataset = load_dataset(root)
    assert [problem.code for problem in dataset.problems] == ["member_refused"]
    assert not list(tmp_path.rglob("evil*")) and not list(home.rglob("evil*"))


def test_an_archive_that_would_grow_too_large_is_refused(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = minis.write_zipped(tmp_path / "set", make_images())
    with zipfile.ZipFile(root / "images.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.jpg", bytes(5_000_000))
    limits = UnpackLimits(always_allowed=1_000_000)
    monkeypatch.setattr("capgen.data.download.unpack.UnpackLimits", lambda: limits)
    with pytest.raises(DataError, match=r"'bomb\.jpg' makes it grow beyond"):
        load_dataset(root)


def test_a_damaged_archive_is_told(tmp_path: Path, home: Path) -> None:
    root = minis.write_zipped(tmp_path / "set", make_images())
    data = (root / "images.zip").read_bytes()
    (root / "images.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"images\.zip is neither a zip nor a tar archive"):
        load_dataset(root)


@pytest.mark.parametrize("link", [False, True])
def test_an_import_keeps_the_images(tmp_path: Path, home: Path, link: bool) -> None:
    root = minis.write_zipped(tmp_path / "set", make_images())
    list(import_dataset(root, "mine", store=tmp_path / "store", link=link))
    shutil.rmtree(home / "cache")
    assert len(load_dataset(tmp_path / "store" / "mine").examples) == 10
