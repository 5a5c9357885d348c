from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.dataset import load_dataset
from capgen.data.formats.reading import ReadOptions
from capgen.errors import DataError, MissingDependencyError
from tests import minis
from tests.minis import draw, make_images, save_images

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def jpeg(folder: Path, seed: int) -> bytes:
    path = folder / f"{seed}.made"
    draw(seed).save(path, "JPEG")
    data = path.read_bytes()
    path.unlink()
    return data


def write(path: Path, **columns: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_a_second_reading_takes_no_images(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = minis.write_parquet(tmp_path / "set", make_images())
    first = load_dataset(root)
    asked: list[list[str]] = []

    class Watched(pq.ParquetFile):
        def iter_batches(self, **settings: Any) -> Any:
            asked.append(settings["columns"])
            return super().iter_batches(**settings)

    monkeypatch.setattr(pq, "ParquetFile", Watched)
    second = load_dataset(root)
    assert asked and all(columns == ["captions"] for columns in asked)
    assert second.digest == first.digest
    assert [e.image for e in second.examples] == [e.image for e in first.examples]


def test_rows_are_read_a_few_at_a_time(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = minis.write_parquet(tmp_path / "set", make_images(40), rows_in_a_file=40)
    sizes: list[int] = []

    class Watched(pq.ParquetFile):
        def iter_batches(self, **settings: Any) -> Any:
            for batch in super().iter_batches(**settings):
                sizes.append(batch.num_rows)
                yield batch

    monkeypatch.setattr(pq, "ParquetFile", Watched)
    assert len(load_dataset(root).examples) == 40
    assert max(sizes) <= 16


def test_bare_bytes_odd_names_and_names_that_come_twice(tmp_path: Path, home: Path) -> None:
    data = [jpeg(tmp_path, seed) for seed in range(4)]
    names = ["猫.jpg", "猫.jpg", "..\\..\\evil.jpg", None]
    cells = [{"bytes": d, "path": n} for d, n in zip(data, names, strict=True)]
    write(tmp_path / "a" / "x.parquet", image=cells, text=["eins", "zwei", "drei", "Mädchen"])
    write(tmp_path / "b" / "x.parquet", jpg=data, text=["eins", "zwei", "drei", "Mädchen"])
    for folder in ("a", "b"):
        for _ in range(2):
            examples = load_dataset(tmp_path / folder).examples
            found = {e.references[0]: e.image.read_bytes() for e in examples}
            texts = ("eins", "zwei", "drei", "Mädchen")
            assert found == dict(zip(texts, data, strict=True))
            assert all(e.image.is_relative_to(home / "cache") for e in examples)


def test_names_of_images_beside_the_file(tmp_path: Path) -> None:
    images = make_images(3)
    save_images(tmp_path / "images", images)
    names = [image.name for image in images]
    write(tmp_path / "train.parquet", file_name=names, caption=["a", "b", "c"])
    dataset = load_dataset(tmp_path)
    assert len(dataset.examples) == 3
    assert all(e.image.parent == tmp_path / "images" for e in dataset.examples)


def test_a_row_without_an_image_is_named_and_the_others_are_found(
    tmp_path: Path, home: Path
) -> None:
    cells = [{"bytes": jpeg(tmp_path, 1), "path": "a.jpg"}, {"bytes": None, "path": None}]
    file = write(tmp_path / "set" / "x.parquet", image=cells, text=["a dog", "a cat"])
    with pytest.raises(DataError, match=r"x\.parquet: row 1: no image in 'image'"):
        load_dataset(file.parent)
    *_, found = diagnose(file.parent)
    assert isinstance(found, Diagnosis)
    assert found.counts["malformed_line"] == 1 and len(found.reading.entries) == 1


def test_a_column_may_be_named(tmp_path: Path, home: Path) -> None:
    cells = [{"bytes": jpeg(tmp_path, 1), "path": "a.jpg"}]
    file = write(tmp_path / "set" / "x.parquet", image=cells, words=["a dog"])
    with pytest.raises(DataError, match="which column is the caption"):
        load_dataset(file)
    options = ReadOptions(caption_column="words")
    assert load_dataset(file, options=options).examples[0].references == ("a dog",)


def test_several_data_sets_are_named(tmp_path: Path) -> None:
    for name in ("de", "en"):
        minis.write_parquet(tmp_path / "set" / name, make_images(3))
    with pytest.raises(DataError, match=r"seen: no images, .* \.parquet") as caught:
        load_dataset(tmp_path / "set")
    assert "(de/data, en/data)" in caught.value.hint


def test_folders_of_splits_are_one_data_set(tmp_path: Path, home: Path) -> None:
    """As the Hub converts data sets."""
    for number, split in enumerate(("train", "validation", "test")):
        cells = [{"bytes": jpeg(tmp_path, number), "path": f"{number}.jpg"}]
        write(tmp_path / "set" / "default" / split / "0000.parquet", image=cells, text=["a dog"])
    assert load_dataset(tmp_path / "set").counts == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize("kind", ["ArrowKeyError", "ArrowTypeError", "ArrowNotImplementedError"])
def test_whatever_pyarrow_finds_wrong_is_told(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise getattr(pa, kind)("of this kind")

    write(tmp_path / "x.parquet", text=["a dog"])
    monkeypatch.setattr("pyarrow.parquet.ParquetFile", fail)
    with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet: .*of this kind"):
        load_dataset(tmp_path / "x.parquet")


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet"):
        load_dataset(tmp_path)


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match="needs the package pyarrow"):
        load_dataset(tmp_path)
