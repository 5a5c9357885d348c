"""Reports whose captions are scored again."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capgen.config import EvalConfig
from capgen.errors import DataError, MetricError, UsageError
from capgen.evaluation.compare import compare
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.evaluation_set import read_references
from capgen.evaluation.reported import data_of_report, read_report
from capgen.evaluation.verify import verify
from capgen.metrics.cider import DocumentFrequencies
from capgen.output.records import dump_json
from tests.unit.evaluation.sets import GOOD, POOR, REFERENCES, Scripted

CONFIG = EvalConfig(resamples=100, report_seed=5)


@pytest.fixture
def references(tmp_path: Path) -> Path:
    path = tmp_path / "references.json"
    path.write_text(json.dumps(REFERENCES))
    return path


@pytest.fixture
def report(references: Path, tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    found = evaluate(POOR, read_references(references), config=CONFIG)
    path.write_text(dump_json(found.to_dict(), indent=2))
    return path


def change(report: Path, edit: Callable[[Any], None]) -> None:
    record = json.loads(report.read_text())
    edit(record)
    report.write_text(json.dumps(record))


def test_a_report_that_holds(report: Path, references: Path) -> None:
    (one,) = read_report(report)
    found = verify(one, data_of_report(one, report))
    assert found.holds
    # Eight scores of each image and of all, with intervals, among others.
    assert found.values > 8 * (6 + 1) + 8 * 4
    assert found.to_dict()["unlike"] == []


def test_reports_are_the_same_bytes_twice(report: Path, references: Path) -> None:
    again = evaluate(dict(POOR), read_references(references), config=CONFIG)
    assert dump_json(again.to_dict(), indent=2) == report.read_text()
    record = json.loads(report.read_text())
    assert record["data"]["sha256"]
    assert record["stamp"]["references_digest"] != record["stamp"]["captions_digest"] != ""


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (lambda r: r["corpus"].update({"BLEU-4": 0.5}), ["corpus BLEU-4"]),
        (lambda r: r["intervals"]["METEOR"].update(low=0), ["interval METEOR low"]),
        (
            lambda r: r["images"][1]["scores"].update({"CIDEr-D": 1.23}),
            ["image bird.jpg CIDEr-D"],
        ),
        (lambda r: r["language"].update(vocabulary=3), ["language vocabulary"]),
        (lambda r: r["stamp"].update(references_digest="0" * 16), ["stamp references_digest"]),
    ],
)
def test_a_digit_that_was_changed(
    edit: Callable[[Any], None], where: list[str], report: Path
) -> None:
    (before,) = read_report(report)
    data = data_of_report(before, report)
    change(report, edit)
    (one,) = read_report(report)
    found = verify(one, data)
    assert not found.holds
    assert [item.where for item in found.unlike] == where


def test_a_caption_that_was_changed(report: Path) -> None:
    change(report, lambda record: record["images"][0].update(caption="a ball"))
    (one,) = read_report(report)
    places = [item.where for item in verify(one, data_of_report(one, report)).unlike]
    assert places[0] == "stamp captions_digest", "the cause"
    assert {"corpus CIDEr-D", "image ball.jpg BLEU-1"} <= set(places)


def test_references_that_were_changed(report: Path, references: Path) -> None:
    changed = {**REFERENCES, "ball.jpg": ["a child kicks a ball"]}
    references.write_text(json.dumps(changed))
    (one,) = read_report(report)
    with pytest.raises(UsageError, match=r"scored against references\.json, which is not beside"):
        data_of_report(one, report)
    places = {item.where for item in verify(one, read_references(references)).unlike}
    assert {"data sha256", "stamp references_digest", "image ball.jpg CIDEr-D"} <= places
    fewer = {name: texts for name, texts in REFERENCES.items() if name != "ball.jpg"}
    references.write_text(json.dumps(fewer))
    with pytest.raises(MetricError, match=r"has no image 'ball\.jpg'"):
        verify(one, read_references(references))


def test_a_metric_that_cannot_be_computed(report: Path) -> None:
    def add(record: Any) -> None:
        record["stamp"]["definitions"]["later"] = "a metric of a later version"
        record["corpus"]["Later"] = 0.5

    change(report, add)
    (one,) = read_report(report)
    found = verify(one, data_of_report(one, report))
    assert not found.holds
    assert list(found.unchecked) == ["later"]
    assert found.unlike == ()


def test_objects_and_further_captions(references: Path, tmp_path: Path) -> None:
    said, table = tmp_path / "said.json", tmp_path / "objects.txt"
    rows = [
        {"image_id": name, "caption": text, "alternatives": [GOOD[name]]}
        for name, text in POOR.items()
    ]
    said.write_text(json.dumps(rows))
    table.write_text("dog, puppy\ncat\n")
    config = dataclasses.replace(CONFIG, metrics="bleu,chair,diversity", objects=table)
    path = tmp_path / "report.json"
    found = evaluate(said, read_references(references), config=config)
    path.write_text(dump_json(found.to_dict(), indent=2))
    (one,) = read_report(path)
    data = data_of_report(one, path)
    assert verify(one, data, config=EvalConfig(objects=table)).holds
    other = verify(one, data)
    assert not other.holds and other.unlike == ()
    assert other.unchecked == {
        "chair": "It had objects.txt; no annotations: name these with --objects and --instances."
    }
    with pytest.raises(UsageError, match="--instances is for the metric chair"):
        change(path, lambda record: record["stamp"]["definitions"].pop("chair"))
        verify(read_report(path)[0], data, config=EvalConfig(instances=table))


def test_reports_of_older_versions(report: Path) -> None:
    def age(record: Any) -> None:
        for name in ("tokenizer_key", "language", "language_source", "captions_digest"):
            del record["stamp"][name]
        del record["left_out"], record["failed_metrics"]

    change(report, age)
    (one,) = read_report(report)
    assert verify(one, data_of_report(one, report)).holds


def test_a_table_of_document_frequencies(references: Path, tmp_path: Path) -> None:
    table = DocumentFrequencies.from_references(REFERENCES.values(), source="these")
    data = read_references(references)
    evaluation = evaluate(POOR, data, config=CONFIG, document_frequencies=table)
    path = tmp_path / "report.json"
    path.write_text(dump_json(evaluation.to_dict()))
    (one,) = read_report(path)
    assert verify(one, data, document_frequencies=table).holds
    places = {item.where for item in verify(one, data).unlike}
    assert places == {"stamp document_frequencies", "stamp frequencies_digest"}


def test_comparisons(references: Path, tmp_path: Path) -> None:
    data = read_references(references)
    both = compare(*(evaluate(said, data, config=CONFIG) for said in (GOOD, POOR)))
    path = tmp_path / "both.json"
    path.write_text(dump_json(both.to_dict()))
    assert [verify(one, data).holds for one in read_report(path)] == [True, True]

    def better(record: Any) -> None:
        record["differences"]["BLEU-4"]["p_value"] = 0.001

    change(path, better)
    first, second = read_report(path)
    assert not first.differences
    scored_again = verify(first, data).evaluation
    (unlike,) = verify(second, data, first=scored_again).unlike
    assert (unlike.where, unlike.reported) == ("difference BLEU-4 p_value", 0.001)


@pytest.mark.parametrize(
    ("version", "places"), [("0.1.0", {"METEOR"}), ("0.2.0", {"METEOR", "BLEU-3"})]
)
def test_older_comparisons_had_no_ties_where_no_ngram_of_bleu_matches(
    references: Path, tmp_path: Path, version: str, places: set[str]
) -> None:
    data = read_references(references)
    both = compare(*(evaluate(said, data, config=CONFIG) for said in (GOOD, POOR)))
    path = tmp_path / "both.json"
    path.write_text(dump_json(both.to_dict()))

    def age(record: Any) -> None:
        record["second"]["stamp"]["versions"]["capgen"] = version
        for name in ("BLEU-3", "METEOR"):
            record["differences"][name].update(wins=2, ties=0, losses=1, p_value=0.2)

    change(path, age)
    first, second = read_report(path)
    found = verify(second, data, first=verify(first, data).evaluation)
    assert {item.where.split()[1] for item in found.unlike} == places


def test_comparisons_of_models_that_failed_at_some_images(references: Path, tmp_path: Path) -> None:
    data = read_references(references)
    fewer = {**POOR, "dog.jpg": None}
    one, other = (evaluate(Scripted(said), data, config=CONFIG) for said in (GOOD, fewer))
    differences = compare(one, other).to_dict()["differences"]
    record = {
        "kind": "model_comparison",
        "models": [{"evaluation": each.to_dict()} for each in (one, other)],
        "comparisons": [{"differences": differences}],
    }
    path = tmp_path / "models.json"
    path.write_text(dump_json(record))
    first, second = read_report(path)
    again = verify(second, data, first=verify(first, data).evaluation)
    assert again.holds
    assert again.values > verify(second, data).values + 6 * len(differences)


@pytest.mark.parametrize("content", ["[]", "{}", '{"kind": "evaluation", "images": [1]}'])
def test_files_that_are_no_reports(content: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(DataError, match="is not a report of scores"):
        read_report(path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("config", {}),
        ("config", {"resamples": None, "report_seed": 0}),
        ("config", {"resamples": 100, "report_seed": -1}),
        ("stamp", {"definitions": {"bleu": "BLEU"}, "evidence": 5}),
        ("data", {"name": "x", "limit": "six"}),
        ("data", {"name": "x", "limit": 1.5}),
    ],
)
def test_reports_with_parts_that_are_none(report: Path, part: str, value: object) -> None:
    change(report, lambda record: record.update({part: value}))
    with pytest.raises(DataError, match="is not a report of scores"):
        read_report(report)


def test_what_was_undefined_in_older_reports(report: Path) -> None:
    def undefine(record: Any) -> None:
        record["intervals"]["ROUGE-L F1"] = {"value": math.nan, "low": math.nan}
        record["corpus"]["ROUGE-L F1"] = None

    change(report, undefine)
    (one,) = read_report(report)
    assert verify(one, data_of_report(one, report)).holds


def test_a_data_set_that_is_not_installed(report: Path) -> None:
    def name(record: Any) -> None:
        record["data"] = {"name": "nowhere8k", "split": "test", "images": 6, "limit": None}

    change(report, name)
    (one,) = read_report(report)
    with pytest.raises(UsageError, match="set nowhere8k: Unknown data set 'nowhere8k'"):
        data_of_report(one, report)


def test_the_split_and_the_limit_are_those_of_the_report(
    report: Path, references: Path, tmp_path: Path
) -> None:
    data = read_references(references).limited(2)
    few = {example.image_id: POOR[example.image_id] for example in data.examples}
    path = tmp_path / "few.json"
    path.write_text(dump_json(evaluate(few, data, config=CONFIG).to_dict()))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    references.rename(elsewhere / "other.json")
    (one,) = read_report(path)
    found = data_of_report(one, path, references=elsewhere / "other.json")
    assert len(found.examples) == 2
    assert verify(one, found).holds
