"""Data sets on the Hub, by a stand-in on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.checks.fix import write_fixed
from capgen.data.dataset import load_dataset, locate
from capgen.data.download.hub import HubDataset, hub_dataset, name_in_cache
from capgen.data.formats import manifest
from capgen.data.import_set import import_dataset
from capgen.data.mixture import open_mixture
from capgen.errors import DataError, NetworkError, UsageError
from tests import minis
from tests.hub_stand_in import Hub, point_at, serving
from tests.minis import make_images

NAME = "hf:ann/dogs"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    with serving() as served:
        point_at(served, monkeypatch, tmp_path)
        yield served


def put(hub: Hub, folder: Path, name: str = "ann/dogs", revision: str = "main") -> Path:
    hub.repositories.setdefault(f"datasets/{name}", {})[revision] = folder
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:ann/dogs", HubDataset("ann/dogs")),
        ("hf:ann/dogs@v1", HubDataset("ann/dogs", "", "v1")),
        ("hf:ann/dogs/en/small@refs/pr/3", HubDataset("ann/dogs", "en/small", "refs/pr/3")),
        (Path("hf:ann/dogs"), HubDataset("ann/dogs")),
        ("ann/dogs", None),
        (Path("dogs"), None),
    ],
)
def test_names(text: str | Path, expected: HubDataset | None) -> None:
    assert hub_dataset(text) == expected


@pytest.mark.parametrize("text", ["hf:", "hf:dogs", "hf:ann/do gs", "hf:ann/dogs@"])
def test_a_name_that_is_none_says_how_to_write_it(text: str) -> None:
    with pytest.raises(DataError, match="names no data set on the Hub") as caught:
        hub_dataset(text)
    assert "hf:USER/NAME" in caught.value.hint


def test_parquet_files_are_read_as_a_folder_is(hub: Hub, tmp_path: Path, home: Path) -> None:
    images = make_images()
    folder = put(hub, minis.write_parquet(tmp_path / "set", images))
    (folder / "README.md").write_text("A card.")
    (folder / "run.py").write_text("raise SystemExit")
    (folder / "preview.jpg").write_bytes(b"x" * 1000)
    dataset = load_dataset(NAME)
    assert dataset.name == "dogs" and dataset.format == "parquet"
    assert dataset.digest == load_dataset(folder).digest
    fetched = [path for path in hub.asked if "/resolve/" in path]
    assert fetched and all(path.endswith(".parquet") for path in fetched)
    assert not any(example.outside for example in dataset.examples)


@pytest.mark.parametrize("write", [minis.write_imagefolder, minis.write_zipped])
def test_other_layouts_are_downloaded_whole(
    write: Callable[..., Path], hub: Hub, tmp_path: Path, home: Path
) -> None:
    folder = put(hub, write(tmp_path / "set", make_images()))
    (folder / "run.py").write_text("raise SystemExit")
    dataset = load_dataset(NAME)
    assert dataset.digest == load_dataset(folder).digest
    assert not any(path.endswith(".py") for path in hub.asked)


def test_a_data_set_is_found_in_the_cache_without_a_network(
    hub: Hub, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(hub, minis.write_parquet(tmp_path / "set", make_images()))
    digest = load_dataset(NAME).digest
    monkeypatch.setattr("capgen.data.download.hub.offline", lambda: True)
    asked = len(hub.asked)
    assert load_dataset(NAME).digest == digest
    assert len(hub.asked) == asked
    with pytest.raises(NetworkError, match="not in the local cache") as caught:
        load_dataset("hf:ann/cats")
    assert "model" not in caught.value.hint


def test_it_is_imported_under_a_name_with_its_source(hub: Hub, tmp_path: Path, home: Path) -> None:
    put(hub, minis.write_imagefolder(tmp_path / "set", make_images()))
    assert list(import_dataset(Path(NAME), "mine", store=tmp_path / "store"))
    header = manifest.read_header(tmp_path / "store" / "mine")
    assert (header.name, header.source) == ("mine", NAME)
    assert len(load_dataset(tmp_path / "store" / "mine").examples) == 10


def test_training_and_the_doctor_take_it(hub: Hub, tmp_path: Path, home: Path) -> None:
    put(hub, minis.write_parquet(tmp_path / "set", make_images()))
    by_name, by_place = open_mixture([f"{NAME}=2"], None), open_mixture(None, [Path(NAME)])
    assert by_name.digest == by_place.digest
    assert by_name.members[0].weight == 2
    *_, found = diagnose(locate(NAME))
    assert isinstance(found, Diagnosis) and len(found.reading.entries) == 10


def test_a_corrected_copy_is_not_written_into_the_cache(
    hub: Hub, tmp_path: Path, home: Path
) -> None:
    put(hub, minis.write_parquet(tmp_path / "set", make_images()))
    *_, found = diagnose(locate(NAME))
    assert isinstance(found, Diagnosis)
    with pytest.raises(UsageError, match="not changed where it is kept"):
        write_fixed(found)
    fixed = load_dataset(write_fixed(found, tmp_path / "clean.jsonl").path)
    assert len(fixed.examples) == 10


def test_a_folder_or_a_revision_of_it(hub: Hub, tmp_path: Path, home: Path) -> None:
    for name, count in (("en", 3), ("de", 4)):
        minis.write_parquet(tmp_path / "set" / name, make_images(count))
    put(hub, tmp_path / "set")
    put(hub, minis.write_parquet(tmp_path / "old", make_images(5)), revision="v1")
    with pytest.raises(DataError, match="ann/dogs has 2 data sets") as caught:
        load_dataset(NAME)
    assert "hf:ann/dogs/de/data, hf:ann/dogs/en/data" in caught.value.hint
    assert not any("/resolve/" in path for path in hub.asked)
    dataset = load_dataset(f"{NAME}/de/data")
    assert len(dataset.examples) == 4 and dataset.name == "dogs-de-data"
    assert len(load_dataset(f"{NAME}@v1").examples) == 5
    with pytest.raises(DataError, match="no files of captions or images"):
        load_dataset(f"{NAME}/fr")


def test_what_is_not_there_is_a_data_set_and_no_model(hub: Hub, home: Path) -> None:
    with pytest.raises(DataError, match="There is no data set 'ann/dogs' on the Hub"):
        load_dataset(NAME)


def test_a_revision_that_is_not_there(hub: Hub, tmp_path: Path, home: Path) -> None:
    put(hub, minis.write_parquet(tmp_path / "set", make_images()))
    with pytest.raises(DataError, match="has no revision 'v9'"):
        load_dataset(f"{NAME}@v9")


def test_a_file_that_leads_out_of_the_folder_stops_all(
    hub: Hub, tmp_path: Path, home: Path
) -> None:
    put(hub, minis.write_imagefolder(tmp_path / "set", make_images()))
    hub.names["train/metadata.jsonl"] = "../../metadata.jsonl"
    with pytest.raises(DataError, match="leads out of its folder"):
        load_dataset(NAME)
    assert not any("/resolve/" in path for path in hub.asked)


def test_a_damaged_file_is_told(hub: Hub, tmp_path: Path, home: Path) -> None:
    folder = put(hub, minis.write_parquet(tmp_path / "set", make_images()))
    first = min((folder / "data").iterdir())
    hub.altered.add(f"data/{first.name}")
    with pytest.raises(DataError, match=r"differs from what the Hub announced"):
        load_dataset(NAME)


def test_a_place_outside_the_cache_has_no_name_there(tmp_path: Path) -> None:
    assert name_in_cache(tmp_path) is None
