"""Predictions files: every format, every fault, and the matching of image names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capgen.errors import CapgenError, DataError, MetricError
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.predictions import Predictions, read_predictions
from capgen.records import Caption, CaptionFailure, Example
from tests.fakes import write_records
from tests.unit.evaluation.sets import GOOD, make_set


def write(folder: Path, content: Any, name: str = "captions.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def coco(captions: dict[str, str]) -> list[dict[str, Any]]:
    return [{"image_id": name, "caption": caption} for name, caption in captions.items()]


def images(*names: str) -> EvaluationSet:
    pool = tuple(
        Example(image_id=name, image=Path(name), references=("a",), split="test") for name in names
    )
    return EvaluationSet(name="drawn", split="test", pool=pool)


def test_coco_results_and_a_mapping_say_the_same(tmp_path: Path) -> None:
    for content in (coco(GOOD), GOOD):
        assert read_predictions(write(tmp_path, content)).outcomes(make_set()) == GOOD


@pytest.mark.parametrize("name", ["captions.json", "captions.jsonl"])
def test_records_of_capgen_are_matched_by_file_name(tmp_path: Path, name: str) -> None:
    records: list[Caption | CaptionFailure] = [
        Caption(
            path=f"/some/where/{image}",
            text=text,
            log_probability=-1.0,
            score=-0.5,
            model="mini",
            settings={"beams": 3},
        )
        for image, text in GOOD.items()
        if image != "cat.jpg"
    ]
    records.append(CaptionFailure(path="/some/where/cat.jpg", code="empty", message="cat: empty"))
    write_records(tmp_path / name, records)
    predictions = read_predictions(tmp_path / name)
    outcomes = predictions.outcomes(make_set())
    failure = outcomes.pop("cat.jpg")
    assert isinstance(failure, CaptionFailure)
    assert failure.code == "empty"
    assert outcomes == {image: text for image, text in GOOD.items() if image != "cat.jpg"}
    assert predictions.details["model"] == "mini"
    assert predictions.details["settings"] == {"beams": 3}


def test_images_are_found_by_name_stem_and_coco_number() -> None:
    data = images("a/COCO_val2014_000000391895.jpg", "b/dog.jpg", "77.png")
    assert data.find("391895") == "a/COCO_val2014_000000391895.jpg"
    assert data.find("COCO_val2014_000000391895.jpg") == "a/COCO_val2014_000000391895.jpg"
    assert data.find("x\\y\\dog.jpg") == "b/dog.jpg"
    assert data.find("dog") == "b/dog.jpg"
    assert data.find("77") == "77.png"
    assert data.find("78") is None


def test_a_name_that_means_two_images_means_none() -> None:
    data = images("a/dog.jpg", "b/dog.jpg", "c/dog.png")
    assert data.find("a/dog.jpg") == "a/dog.jpg"
    assert data.find("dog.png") == "c/dog.png"
    assert data.find("dog.jpg") is None
    assert data.find("dog") is None


def test_predictions_beyond_the_limit_are_passed_over(tmp_path: Path) -> None:
    outcomes = read_predictions(write(tmp_path, GOOD)).outcomes(make_set(limit=2))
    assert list(outcomes) == list(GOOD)[:2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "no captions"),
        ("3", "no captions"),
        ('{"a": "x", "a": "y"}', "'a' occurs twice"),
        ("[3]", "entry 1 is not an object"),
        ('[{"caption": "x"}]', "neither image_id nor path"),
        ('[{"image_id": true, "caption": "x"}]', "neither image_id nor path"),
        ('[{"image_id": 1}]', r"caption in entry 1 \(1\) is missing"),
        ('[{"image_id": 1, "caption": ["x"]}]', "is missing or not a string"),
        ('{"a": 3}', "is missing or not a string"),
        ("[" * 100_000, "nested too deeply"),
        ("\udcff", "not UTF-8"),
        ('{"kind": "comparison", "images": []}', "compares several models"),
        ('{"kind": "model_comparison", "models": []}', "compares several models"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "captions.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(path)
    assert "captions.json" in caught.value.message


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, '{"path": "a", "caption": "x"}\n\n{"path": \n', "captions.jsonl")
    with pytest.raises(DataError, match=r"captions\.jsonl:3"):
        read_predictions(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json"):
        read_predictions(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stranger.jpg": "a"}, r"1 image \('stranger.jpg'\) not in split test of drawn"),
        ({"dog.jpg": None}, r"no prediction for 1 image \('dog.jpg'\)"),
    ],
)
def test_images_that_do_not_match_are_named(changed: dict[str, str | None], message: str) -> None:
    captions = {name: text for name, text in (GOOD | changed).items() if text is not None}
    with pytest.raises(MetricError, match=message):
        Predictions(name="file", captions=tuple(captions.items())).outcomes(make_set())


def test_two_captions_of_a_image_are_refused_under_whatever_names() -> None:
    captions = (*GOOD.items(), ("folder/dog.jpg", "again"))
    with pytest.raises(CapgenError, match=r"Two predictions for the image 'dog\.jpg'"):
        Predictions(name="file", captions=captions).outcomes(make_set())
