from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.data.dataset import load_dataset, locate, open_dataset
from capgen.data.events import Finished, Notice
from capgen.data.formats.reading import ReadOptions
from capgen.data.importing import import_dataset
from capgen.data.splits import SplitOptions
from capgen.data.store import installed, remove
from capgen.errors import DataError, UsageError
from tests import minis
from tests.minis import make_pictures, write_flickr8k


@pytest.mark.parametrize("link", [False, True])
def test_import_keeps_everything(link: bool, tmp_path: Path, home: Path):
    source = write_flickr8k(tmp_path / "mine", make_pictures())
    finished = list(import_dataset(source, "mine", link=link))[-1]
    assert isinstance(finished, Finished)
    assert (finished.pictures, finished.captions) == (10, 50)
    dataset = open_dataset("mine", None)
    assert dataset.digest == load_dataset(source).digest
    inside = [e.image.resolve().is_relative_to(home.resolve()) for e in dataset.examples]
    assert inside == [not link] * 10
    assert installed() == ["mine"]
    assert locate("mine") == home / "datasets" / "mine"
    remove("mine")
    assert installed() == []
    assert len(load_dataset(source).examples) == 10  # the source stays


def test_store_elsewhere(tmp_path: Path):
    source = write_flickr8k(tmp_path / "set", make_pictures())
    list(import_dataset(source, "mine", store=tmp_path / "store"))
    assert open_dataset("mine", tmp_path / "store").counts["train"] == 6
    assert open_dataset(None, tmp_path / "store" / "mine").name == "mine"
    with pytest.raises(DataError, match="Unknown data set 'mine'"):
        open_dataset("mine", None)


def test_drawn_splits_are_recorded(tmp_path: Path):
    source = minis.write_karpathy(tmp_path / "set", make_pictures(20))
    file = source / "dataset_mini.json"
    content = json.loads(file.read_text())
    for item in content["images"]:
        item["split"] = ""
    file.write_text(json.dumps(content))
    splits = SplitOptions(split_seed=3, val_fraction=0.2)
    finished = list(import_dataset(source, "mine", splits=splits))[-1]
    assert isinstance(finished, Finished)
    assert finished.splits == {"train": 14, "val": 4, "test": 2}
    dataset = open_dataset("mine", None)
    assert dataset.counts == finished.splits
    assert dataset.split_source == "seeded (3; val 0.2, test 0.1)"
    # Later options do not split it anew.
    assert load_dataset("mine", splits=SplitOptions(split_seed=9)).digest == dataset.digest


def test_what_was_left_out_is_told(tmp_path: Path):
    source = write_flickr8k(tmp_path / "set", make_pictures())
    for picture in sorted((source / "Flicker8k_Dataset").iterdir())[:5]:
        picture.unlink()
    events = list(import_dataset(source, "mine"))
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert len(notices) == 1
    assert notices[0].startswith("captions without a picture (5): ")
    assert notices[0].endswith("and 2 more")


def test_names(tmp_path: Path, home: Path):
    source = write_flickr8k(tmp_path / "set", make_pictures())
    list(import_dataset(source, "mine"))
    with pytest.raises(DataError, match="There is a data set 'mine' already"):
        list(import_dataset(source, "mine"))
    for name in ("", "../evil", ".hidden", "a/b", "a b", "x" * 90, "end."):
        with pytest.raises(UsageError, match="cannot be a data set's name"):
            list(import_dataset(source, name))
    with pytest.raises(DataError, match="Unknown data set"):
        remove("../set")
    assert sorted(p.name for p in (home / "datasets").iterdir() if not p.is_file()) == ["mine"]


def test_an_interrupted_import_leaves_nothing(tmp_path: Path, home: Path):
    source = write_flickr8k(tmp_path / "set", make_pictures())
    events = import_dataset(source, "mine")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert [p.name for p in (home / "datasets").iterdir() if p.is_dir()] == []
    assert isinstance(list(import_dataset(source, "mine"))[-1], Finished)


def test_names_in_manifests_cannot_leave_the_folder(tmp_path: Path, home: Path):
    source = tmp_path / "set"
    source.mkdir()
    minis.draw(1).save(source / "a.jpg")
    lines = [
        {"schema_version": 1, "kind": "capgen-dataset", "name": "x"},
        {"image_id": "../../../evil.jpg", "image": "a.jpg", "references": ["a"], "split": "train"},
    ]
    manifest = source / "capgen-dataset.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    list(import_dataset(source, "mine"))
    assert not list(tmp_path.rglob("evil*"))
    images = home / "datasets" / "mine" / "images"
    assert [path.name for path in images.iterdir()] == ["00000000.jpg"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"kind": "capgen-dataset"}'], r":1: not the header"),
        (['{"kind": "capgen-dataset", "name": "x"}', "{}"], r":2: expected image_id, image"),
        (
            [
                '{"kind": "capgen-dataset", "name": "x"}',
                '{"image_id": "a", "image": "a", "references": [1], "split": "train"}',
            ],
            r":2: expected image_id, image",
        ),
    ],
)
def test_malformed_manifests(lines: list[str], message: str, tmp_path: Path):
    (tmp_path / "capgen-dataset.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_options_reach_the_reader(tmp_path: Path):
    source = minis.write_table(tmp_path / "set", make_pictures(), columns=("a", "b", "c"))
    options = ReadOptions(image_column="a", caption_column="b", split_column="c")
    finished = list(import_dataset(source, "mine", options=options))[-1]
    assert isinstance(finished, Finished)
    assert finished.splits == {"train": 6, "val": 2, "test": 2}


@pytest.mark.realdata
def test_coco_sample(realdata: Path):
    finished = list(import_dataset(realdata / "coco_sample", "coco_sample"))[-1]
    assert isinstance(finished, Finished)
    assert (finished.pictures, finished.splits) == (3229, {"train": 2929, "val": 300})
    assert open_dataset("coco_sample", None).digest == (
        load_dataset(realdata / "coco_sample").digest
    )


def test_copies_have_names_that_every_system_can_have(tmp_path: Path, home: Path):
    source = tmp_path / "set"
    source.mkdir()
    for number, name in enumerate(("dog.jpg", "Dog.jpg", "at 10:30.jpg")):
        minis.draw(number).save(source / name)
        (source / name).with_suffix(".txt").write_text(f"picture {number}\n")
    list(import_dataset(source, "mine"))
    copies = {path.name for path in (home / "datasets" / "mine" / "images").iterdir()}
    # The captions of the first two are of one file on other systems: they are in order here.
    assert copies == {"Dog.jpg", "00000001.jpg", "00000002.jpg"}
    examples = {example.references[0]: example for example in load_dataset("mine").examples}
    for number, name in enumerate(("dog.jpg", "Dog.jpg", "at 10:30.jpg")):
        example = examples[f"picture {number}"]
        assert example.image_id == name
        assert example.image.read_bytes() == (source / name).read_bytes()


@pytest.mark.parametrize("name", ["con", "NUL.set", "com1"])
def test_data_sets_are_not_called_what_windows_reserves(tmp_path: Path, name: str):
    source = write_flickr8k(tmp_path / "set", make_pictures())
    with pytest.raises(UsageError, match="cannot be a data set's name"):
        list(import_dataset(source, name))


def test_an_edited_manifest_may_begin_with_a_mark(tmp_path: Path):
    source = write_flickr8k(tmp_path / "set", make_pictures())
    list(import_dataset(source, "mine"))
    expected = load_dataset("mine")
    manifest = expected.root / "capgen-dataset.jsonl"
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\n", b"\r\n"))
    assert load_dataset("mine").digest == expected.digest
