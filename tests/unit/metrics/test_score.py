"""The entry point: its checks and its report."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest

import capgen.metrics.meteor_1_5.resources
import capgen.metrics.official
from capgen.errors import MetricError, MissingDependencyError, UsageError
from capgen.metrics.definitions import METRICS
from capgen.metrics.language import known_captions, language_statistics
from capgen.metrics.score import check_metrics, score_captions, unique_captions
from tests.unit.metrics.captions import PREDICTIONS, REFERENCES

FAST = ("bleu", "rouge_l", "cider_d")


def test_report_as_json() -> None:
    report = score_captions(PREDICTIONS["odd"], REFERENCES, metrics=FAST)
    record = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [image["image_id"] for image in record["images"]] == list(REFERENCES)
    assert record["corpus"]["CIDEr-D"] == report.corpus["CIDEr-D"]
    assert record["images"][3]["BLEU-2"] == report.per_image["BLEU-2"][3]
    stamp = record["stamp"]
    assert stamp["images"] == 12
    assert stamp["references_digest"] == report.stamp.references_digest != ""
    assert stamp["references"] == sum(map(len, REFERENCES.values()))
    assert list(stamp["definitions"]) == list(FAST)
    assert "3.4.1" in stamp["tokenizer"]
    assert stamp["document_frequencies"] == "references of the 12 evaluated images"
    assert stamp["versions"].keys() == {"capgen"}


def test_only_the_metrics_asked_for() -> None:
    report = score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=["cider_d"])
    assert list(report.corpus) == ["CIDEr-D"]
    assert report.bleu_statistics is None


def test_unknown_metric() -> None:
    with pytest.raises(UsageError, match="'ciderd'") as caught:
        score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=["ciderd"])
    assert "cider_d" in caught.value.hint


def test_a_single_image_is_explained() -> None:
    report = score_captions({"a": "a dog"}, {"a": ["a dog runs"]}, metrics=FAST)
    assert report.corpus["CIDEr-D"] == 0
    assert any("CIDEr-D is always 0 for a single image" in note for note in report.notes)
    assert report.corpus["BLEU-1"] > 0


def test_silent_predictions_are_noted() -> None:
    report = score_captions({"a": "...", "b": "a cat"}, {"a": ["a"], "b": ["b"]}, metrics=FAST)
    assert "1 of 2 predictions have no words." in report.notes


def test_the_order_of_images_is_that_of_the_predictions() -> None:
    backwards = dict(reversed(REFERENCES.items()))
    one = score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=FAST)
    two = score_captions(PREDICTIONS["plausible"], backwards, metrics=FAST)
    assert one.image_ids == two.image_ids
    assert one.stamp == two.stamp
    np.testing.assert_array_equal(one.per_image["CIDEr-D"], two.per_image["CIDEr-D"])


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ({}, {}, "no predictions"),
        ({"a": "x", "b": "y"}, {"a": ["x"]}, r"No references for 1 image \('b'\)"),
        (
            {"a": "x"},
            {"a": ["x"], "b": ["x"], "c": ["x"]},
            r"No prediction for 2 images \('b', 'c'\)",
        ),
        ({"a": "x"}, {"a": []}, r"list of references is empty for 1 image \('a'\)"),
        ({"a": None}, {"a": ["x"]}, r"prediction is not a string for 1 image \('a'\)"),
        ({"a": "x"}, {"a": ["x", 3]}, r"reference is not a string for 1 image \('a'\)"),
        ({"a": "x"}, {"a": "x"}, r"one string, not a list, for 1 image \('a'\)"),
        ({"a": "x"}, {"a": None}, r"not a list for 1 image \('a'\)"),
        (dict.fromkeys("abcdefg", "x"), {}, r"7 images \('a', 'b', 'c', 'd', 'e', …\)"),
    ],
)
def test_captions_that_cannot_be_scored(predictions: Any, references: Any, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        score_captions(predictions, references)


def test_two_predictions_for_one_image() -> None:
    assert unique_captions([("a", "x"), ("b", "y")]) == {"a": "x", "b": "y"}
    with pytest.raises(MetricError, match="Two predictions for the image 'a'"):
        unique_captions([("a", "x"), ("a", "x")])


def test_language_statistics() -> None:
    captions = ["a dog runs", "a dog runs", "a cat", ""]
    known = known_captions(["A dog runs.", "Something else"])
    found = language_statistics(captions, training=known)
    assert found.to_dict() == {
        "captions": 4,
        "mean_length": 2.0,
        "vocabulary": 4,
        "distinct_1": 4 / 8,
        "distinct_2": 3 / 5,
        "duplicates": 0.5,
        "unique": 0.75,
        "repeated_pairs": 0.0,
        "repeated_words": 0.0,
        "function_word_ends": 0.0,
        "novel": 0.5,
        "coverage": None,
        "most_frequent": [["a dog runs", 2]],
    }
    covered = language_statistics(captions, references=["the dog runs", "a dog", ""])
    assert covered.coverage == 3 / 4
    assert language_statistics(["", "."]).distinct_2 == 0
    narrow = language_statistics(["a dog and a dog and a", "a dog in", "a dog", "look at it"])
    assert narrow.repeated_pairs == 0.25
    assert narrow.function_word_ends == 0.5
    assert narrow.repeated_words == 0.25
    # Function words and what PTB splits off may come twice; each form is a word of its own.
    fine = ["a man 's hat on a woman 's head", "two dogs near two cats", "a dog among dogs"]
    assert language_statistics(fine).repeated_words == 0
    twice = ["a kitchen with a kitchen", "a red bus next to a red car", "a cat", "a dog runs"]
    assert language_statistics(twice).repeated_words == 0.5
    assert language_statistics(["a"]).novel is None
    with pytest.raises(MetricError):
        language_statistics([])


def test_novelty_in_the_report() -> None:
    known = known_captions([PREDICTIONS["plausible"]["goose"].upper() + "."])
    report = score_captions(
        PREDICTIONS["plausible"], REFERENCES, metrics=FAST, training_captions=known
    )
    assert report.language.novel == 11 / 12


def test_meteor_1_5_without_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capgen.metrics.meteor_1_5.resources, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pycocoevalcap") as caught:
        score_captions({"a": "x"}, {"a": ["x"]}, metrics=["meteor_1_5"])
    assert "capgen[coco]" in caught.value.hint
    report = score_captions({"a": "x"}, {"a": ["x"]}, metrics=["meteor_1_5", "rouge_l"])
    assert list(report.corpus) == ["ROUGE-L"]
    assert report.failed == ("meteor_1_5",)
    assert list(check_metrics(["meteor_1_5", "rouge_l"])) == ["meteor_1_5"]


def test_an_official_program_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = "spice"
    assert metric in METRICS
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(capgen.metrics.official, "find_spec", lambda name: object())
    with pytest.raises(MetricError, match="Java"):
        score_captions({"a": "x"}, {"a": ["x"]}, metrics=[metric])
    monkeypatch.setattr(capgen.metrics.official, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pycocoevalcap") as caught:
        score_captions({"a": "x"}, {"a": ["x"]}, metrics=[metric])
    assert "capgen[coco]" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("BLEU-4", "Did you mean 'bleu'?"),
        ("METEOR-1.5", "Did you mean 'meteor_1_5'?"),
        ("CIDEr", "mostly 'cider_d'"),
        ("cidr", "mostly 'cider_d'"),
        ("METEOR", "What papers call METEOR is 'meteor_1_5'"),
        ("bleu rouge_l", "Separate metrics with commas"),
        ("bleu;rouge_l", "Separate metrics with commas"),
        ("", "Separate metrics with commas"),
    ],
)
def test_names_of_metrics_that_are_none(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="Unknown metric") as caught:
        check_metrics([name])
    assert hint in caught.value.hint
