"""COCO captions whose ids are odd, and captions that the source has rejected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.dataset import load_dataset
from capgen.errors import DataError
from tests.colours import plain


def write(root: Path, ids: list[Any], annotations: list[dict[str, Any]]) -> Path:
    for number in range(len(ids)):
        plain(root / "images", f"{number}.png", number + 1)
    images = [{"id": key, "file_name": f"{number}.png"} for number, key in enumerate(ids)]
    content = {"images": images, "annotations": annotations}
    (root / "captions_train.json").write_text(json.dumps(content))
    return root


def captions_of(root: Path) -> dict[str, tuple[str, ...]]:
    return {example.image_id: example.references for example in load_dataset(root).examples}


@pytest.mark.parametrize("first", [0, "0", 0.0, " 0"])
@pytest.mark.parametrize("second", [0, "0", 0.0])
def test_numbers_and_text_are_the_same_id(tmp_path: Path, first: Any, second: Any) -> None:
    root = write(tmp_path, [first, "x"], [{"id": 1, "image_id": second, "caption": "a dog"}])
    assert captions_of(root) == {"0.png": ("a dog",)}


def test_an_id_of_two_images_is_refused(tmp_path: Path) -> None:
    annotations = [{"id": n, "image_id": n % 2, "caption": f"caption {n}"} for n in range(3)]
    root = write(tmp_path, [0, 1, "1"], annotations)
    with pytest.raises(DataError, match=r"the id 1 is that of both 1\.png and 2\.png"):
        load_dataset(root)
    *_, diagnosis = diagnose(root)
    assert isinstance(diagnosis, Diagnosis)
    assert diagnosis.counts["image_id_repeated"] == 1
    # Which image the captions of that id are of is not known.
    assert [entry.captions for entry in diagnosis.reading.entries] == [("caption 0", "caption 2")]


def test_an_image_that_is_listed_twice_is_one(tmp_path: Path) -> None:
    root = write(tmp_path, [0], [{"id": 1, "image_id": 0, "caption": "a dog"}])
    content = json.loads((root / "captions_train.json").read_text())
    content["images"] *= 2
    (root / "captions_train.json").write_text(json.dumps(content))
    assert captions_of(root) == {"0.png": ("a dog",)}


@pytest.mark.parametrize("odd", [[1], {}, None, True])
def test_an_id_that_is_neither_number_nor_text_is_named(tmp_path: Path, odd: Any) -> None:
    root = write(tmp_path, [odd], [{"id": 1, "image_id": odd, "caption": "a dog"}])
    with pytest.raises(DataError, match="lacks id or file_name"):
        load_dataset(root)


def test_rejected_captions_are_left_out_and_said(tmp_path: Path) -> None:
    annotations = [
        {"id": 1, "image_id": 0, "caption": "Quality issues are too severe.", "is_rejected": True},
        {"id": 2, "image_id": 0, "caption": "a can of soup", "is_rejected": False},
        {"id": 3, "image_id": 0, "caption": "a can", "is_precanned": False},
    ]
    dataset = load_dataset(write(tmp_path, [0], annotations))
    (example,) = dataset.examples
    assert example.references == ("a can of soup", "a can")
    assert [(problem.code, problem.image_id) for problem in dataset.problems] == [
        ("caption_rejected", "0.png")
    ]
