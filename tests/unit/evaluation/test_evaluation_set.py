"""References from files, and splits of data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capgen.data.dataset import load_dataset
from capgen.errors import DataError, UsageError
from capgen.evaluation.evaluation_set import evaluation_set, from_dataset, read_references
from capgen.records import Example
from tests.minis import make_images, write_flickr8k
from tests.unit.evaluation.sets import make_set

COCO = {
    "images": [{"id": 7, "file_name": "seven.jpg"}, {"id": 8, "file_name": "eight.jpg"}],
    "annotations": [
        {"image_id": 7, "caption": "a dog"},
        {"image_id": 8, "caption": "a cat"},
        {"image_id": 7, "caption": "the dog"},
    ],
}


def write(folder: Path, content: Any) -> Path:
    path = folder / "references.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_coco_captions(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "seven.jpg").write_bytes(b"x")
    data = read_references(write(tmp_path, COCO), tmp_path)
    assert {e.image_id: e.references for e in data.examples} == {
        "7": ("a dog", "the dog"),
        "8": ("a cat",),
    }
    assert data.by_id["7"].image == tmp_path / "images" / "seven.jpg"
    assert data.find("seven.jpg") == data.find("7") == "7"
    assert data.to_dict()["sha256"]


def test_a_mapping_of_captions(tmp_path: Path) -> None:
    data = read_references(write(tmp_path, {"a.jpg": ["a dog", "the dog"]}))
    assert data.examples[0].references == ("a dog", "the dog")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.json", '{"1": ["a dog", "the dog"], "2": "a cat"}'),
        ("r.json", '{"1": [{"caption": "a dog"}, {"caption": "the dog"}], "2": ["a cat"]}'),
        (
            "r.json",
            '[{"id": 1, "caption": "a dog"}, {"id": 1, "caption": "the dog"}, '
            '{"id": 2, "captions": ["a cat"]}]',
        ),
        (
            "r.jsonl",
            '{"image": "1", "captions": ["a dog", "the dog"]}\n{"image": 2, "text": "a cat"}\n',
        ),
        ("r.csv", "image_id,caption,caption_2\n1,a dog,the dog\n2,a cat,\n"),
        ("r.txt", "1\ta dog\n1\tthe dog\n2\ta cat\n"),
    ],
)
def test_references_in_other_forms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = {e.image_id: e.references for e in read_references(tmp_path / name).examples}
    assert found == {"1": ("a dog", "the dog"), "2": ("a cat",)}


def test_references_line_by_line_stay_in_order(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("".join(f"caption {n}\n" for n in range(12)))
    data = read_references(tmp_path / "r.txt").limited(3)
    assert data.numbered
    assert [e.references for e in data.examples] == [(f"caption {n}",) for n in range(3)]


def changed(**parts: Any) -> dict[str, Any]:
    return {**COCO, **parts}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no captions"),
        ({"images": [{"sentences": []}]}, "does not contain references"),
        ({}, "no captions"),
        ({"a": [""]}, "empty or not a string"),
        ({"a": []}, "no captions"),
        (changed(images=[{"id": 1}, {"id": 1}]), "two entries in 'images' have the id 1"),
        (changed(images={}), "'images' is not a list"),
        (changed(annotations=[{"caption": "x"}]), "entry 0 in 'annotations' lacks"),
        (changed(annotations=[{"image_id": 9, "caption": "x"}]), "unknown image, 9"),
        (changed(annotations=[{"image_id": 7, "caption": 3}]), "empty or not a string"),
        (changed(annotations=COCO["annotations"][:1]), r"no captions of 1 image \('8'\)"),
        (changed(images=[{"id": [1]}]), r"\[1\] is no id of an image"),
        (changed(annotations=[{"image_id": None, "caption": "x"}]), "None is no id of an image"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_references(write(tmp_path, content))
    assert "references.json" in caught.value.message


def test_a_split_of_a_data_set(tmp_path: Path) -> None:
    write_flickr8k(tmp_path / "flickr", make_images(10))
    data = from_dataset(load_dataset(tmp_path / "flickr"), "test")
    assert len(data.examples) == 2
    assert len(data.training) == 30
    assert data.known
    record = data.limited(1).to_dict()
    assert record["images"] == record["limit"] == 1
    assert record["digest"].startswith("sha256:")


def test_what_is_not_there(tmp_path: Path) -> None:
    write_flickr8k(tmp_path / "flickr", make_images(10))
    with pytest.raises(UsageError, match="Unknown split"):
        evaluation_set(data_dir=tmp_path / "flickr", split="tset")
    with pytest.raises(UsageError, match="No data set"):
        evaluation_set()


def test_names_of_other_systems_are_found(tmp_path: Path) -> None:
    mac = make_set(
        pool=(
            Example(
                image_id="cafe\u0301.jpg",
                image=tmp_path / "cafe\u0301.jpg",
                references=("a dog",),
                split="test",
            ),
        )
    )
    for name in (
        "caf\u00e9.jpg",
        "caf\u00e9",
        "C:\\photos\\caf\u00e9.jpg",
        "photos/cafe\u0301.jpg",
    ):
        assert mac.find(name) == "cafe\u0301.jpg"


def test_ids_may_be_whole_numbers_as_pandas_writes_them(tmp_path: Path) -> None:
    content = changed(
        images=[{"id": 7.0, "file_name": "a.jpg"}, {"id": 8.0, "file_name": None}],
        annotations=[{"image_id": 7.0, "caption": "x"}, {"image_id": 8, "caption": "y"}],
    )
    found = read_references(write(tmp_path, content)).by_id
    assert [(name, one.image.name) for name, one in found.items()] == [("7", "a.jpg"), ("8", "8")]


def test_the_token_file_of_flickr30k(tmp_path: Path) -> None:
    path = tmp_path / "results_20130124.token"
    path.write_text("1.jpg#0\ta dog\n1.jpg#1\tthe dog\n2.jpg#0\ta cat\n")
    assert {name: one.references for name, one in read_references(path).by_id.items()} == {
        "1.jpg": ("a dog", "the dog"),
        "2.jpg": ("a cat",),
    }


def test_the_advice_for_references_is_not_that_for_predictions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing or not a string") as caught:
        read_references(write(tmp_path, {"a.jpg": [5]}))
    assert "scored as an empty caption" not in caught.value.hint
