"""What a record says of evaluations: data set, split and scores of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capgen.models.folder import ModelFolder
from capgen.models.provenance import Provenance
from capgen.models.recorded_scores import RecordedEvaluation, recorded_evaluations
from capgen.paths import bundled_model_dir


def read(metrics: dict[str, Any], data: str = "flickr8k") -> list[RecordedEvaluation]:
    return recorded_evaluations(Provenance(data={"name": data}, metrics=metrics))


def test_the_bundled_models_figures_name_their_images() -> None:
    found = recorded_evaluations(ModelFolder(bundled_model_dir(), "mini").provenance)
    assert [(item.dataset, item.split, item.images) for item in found] == [
        ("flickr8k", "test", 1000),
        ("flickr8k", "val", 1000),
        ("coco_sample", "val", 300),
    ]


def test_an_old_record_is_of_the_data_set_it_was_trained_on() -> None:
    (found,) = read({"test": {"CIDEr-D": 0.5, "loss": 2.0, "images": 9, "scorer": "ours"}})
    assert found == RecordedEvaluation(
        dataset="flickr8k", split="test", scores={"CIDEr-D": 0.5}, images=9, protocol="ours"
    )


def test_a_mean_is_followed_by_its_parts() -> None:
    sets = {"a": {"CIDEr-D": 0.4}, "b": {"CIDEr-D": 0.8, "dataset": "c", "split": "dev"}}
    found = read({"val": {"CIDEr-D": 0.6, "sets": sets}}, "a + b")
    assert [(item.dataset, item.split, item.parts) for item in found] == [
        ("a + b", "val", 2),
        ("a", "val", 0),
        ("c", "dev", 0),
    ]
    assert [item.scores["CIDEr-D"] for item in found] == [0.6, 0.4, 0.8]


def test_a_mean_over_one_is_that_one() -> None:
    found = read({"test": {"CIDEr-D": 0.4, "sets": {"a": {"CIDEr-D": 0.4}}}}, "a + b")
    assert [(item.dataset, item.parts) for item in found] == [("a", 0)]


def test_what_is_no_evaluation_is_left_out() -> None:
    assert read({"test": 0.5, "val": {"loss": 1.0, "images": 3}, "x": {"sets": [1]}}) == []
    (found,) = read({"val": {"BLEU-4": 1, "fast": True, "dataset": ["a"], "images": "many"}})
    assert (found.scores, found.dataset, found.images) == ({"BLEU-4": 1.0}, "flickr8k", None)


def test_a_bundled_models_record_takes_over_what_a_report_is_of(tmp_path: Path) -> None:
    from capgen._build.bundle import record

    report = {
        "system": {"settings": {"beams": 3}, "weights": {"model.safetensors": "ab"}},
        "data": {"name": "coco_sample", "split": "val", "images": 2},
        "corpus": {"CIDEr-D": 0.56604},
        "images": [{}, {}],
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    path = tmp_path / "capgen.json"
    path.write_text(json.dumps({"preset": "mini", "files": {"model.safetensors": "ab"}}))
    record({"coco": tmp_path / "report.json"}, tmp_path)
    content = json.loads(path.read_text())
    assert content["preset"] == "mini"
    (found,) = read(content["metrics"], "flickr8k + coco_sample")
    assert (found.dataset, found.split, found.images) == ("coco_sample", "val", 2)
    assert found.scores == {"CIDEr-D": 0.566}
    path.write_text(json.dumps({"files": {"model.safetensors": "cd"}}))
    with pytest.raises(ValueError, match="a report on other weights"):
        record({"coco": tmp_path / "report.json"}, tmp_path)


def test_scores_over_a_part_of_a_split_say_so() -> None:
    sets = [{"name": "b", "counts": {"val": 30}}]
    data = {"name": "a", "counts": {"test": 1000, "val": 300}, "sets": sets}
    metrics = {
        "test": {"CIDEr-D": 0.5, "images": 20},
        "val": {"CIDEr-D": 0.5, "images": 300},
        "b": {"CIDEr-D": 0.5, "images": 30, "dataset": "b", "split": "val"},
        "old": {"CIDEr-D": 0.5, "split": "test"},
    }
    found = recorded_evaluations(Provenance(data=data, metrics=metrics))
    assert [item.partial for item in found] == [True, False, False, False]
    assert [item.images_text for item in found] == ["20 of 1,000", "300", "30", ""]
