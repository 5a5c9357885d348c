"""CHAIR: what captions name, what of it is there, and the two shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capgen.errors import MetricError
from capgen.metrics.bootstrap import compare, confidence_intervals
from capgen.metrics.chair import ObjectTable, SceneObjects, chair, coco_objects
from capgen.metrics.corpus import Corpus
from capgen.metrics.evidence import Evidence
from capgen.metrics.score import score_captions
from capgen.metrics.score_report import ScoreReport

TABLE = ObjectTable(
    ["person, man, people, baby", "dog, puppy", "dining table, table", "hot dog", "", "chair, seat"]
)
CAPTIONS = {
    "1": "a man with two dogs at a table",
    "2": "a puppy and a puppy under a dining table",
    "3": "the grass is green",
    "4": "hot dogs for people",
}
REFERENCES = {
    "1": ["A man sits at a table.", "someone at a meal"],
    "2": ["two puppies play"],
    "3": ["a lawn"],
    "4": ["a hot dog"],
}
# What the paper's rule makes of these by hand: named but not there, and named. "Dogs" of 1 and
# the table of 2 are not in the references; the person of 4 is annotated.
PRESENT = {"1": frozenset[str](), "2": frozenset({"dining table"}), "4": frozenset({"person"})}
COUNTS = [[1, 3], [0, 3], [0, 0], [0, 2]]
WITHOUT = [[1, 3], [1, 3], [0, 0], [1, 2]]


def scored(captions: dict[str, str], scene: SceneObjects) -> ScoreReport:
    return score_captions(captions, REFERENCES, metrics=["chair"], evidence=Evidence(objects=scene))


def scene(present: dict[str, frozenset[str]] | None = PRESENT) -> SceneObjects:
    return SceneObjects(table=TABLE, present=present, source="made.json")


def test_counts_by_hand() -> None:
    corpus = Corpus(CAPTIONS, REFERENCES)
    assert chair(corpus, scene()).tolist() == COUNTS
    assert chair(corpus, scene(None)).tolist() == WITHOUT


def test_shares_of_instances_and_of_sentences() -> None:
    report = scored(CAPTIONS, scene())
    # All mentions together, not the mean of images.
    assert report.corpus["CHAIRi"] == 1 / 8
    assert report.corpus["CHAIRs"] == 1 / 4
    assert report.per_image["CHAIRi"].tolist() == [1 / 3, 0, 0, 0]
    assert report.per_image["CHAIRs"].tolist() == [1, 0, 0, 0]
    assert report.stamp.evidence == {"chair": f"{TABLE.source}; made.json"}
    assert any("1 of 4 images have no annotated objects" in note for note in report.notes)
    bare = scored(CAPTIONS, scene(None))
    assert bare.corpus["CHAIRi"] == 3 / 8
    assert any("--instances" in note for note in bare.notes)


def test_intervals_are_of_the_ratio_of_sums() -> None:
    report = scored(CAPTIONS, scene(None))
    interval = confidence_intervals(report, seed=4, samples=2000)["CHAIRi"]
    generator = np.random.default_rng(1)
    counts = np.array(WITHOUT)
    drawn = counts[generator.integers(4, size=(20_000, 4))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1].clip(1), [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.03)
    assert interval.value == 3 / 8


def test_the_lower_one_wins() -> None:
    better = scored(dict.fromkeys(CAPTIONS, "a lawn"), scene())
    difference = compare(better, scored(CAPTIONS, scene()), seed=0)["CHAIRs"]
    assert (difference.first, difference.second) == (0, 1 / 4)
    assert (difference.wins, difference.ties, difference.losses) == (1, 3, 0)


@pytest.mark.parametrize(
    ("caption", "objects"),
    [
        ("two baby birds on a bench", ["bird", "bench"]),
        ("a baby bear in the zoo", ["bear"]),
        ("a baby in a high chair", ["person", "chair"]),
        ("a passenger train by a passenger", ["train"]),
        ("he wears a bow tie", ["tie"]),
        ("the seat of a toilet", ["toilet"]),
        ("a batter slides into home plate", ["person"]),
        ("hot dogs and a dog", ["hot dog", "dog"]),
        ("wine glasses, knives, and geese", ["wine glass", "knife", "bird"]),
        ("women ride motor bikes near traffic lights", ["person", "motorcycle", "traffic light"]),
        ("a dining table", ["dining table"]),
        ("snow falls", []),
    ],
)
def test_what_captions_name(caption: str, objects: list[str]) -> None:
    tokens = Corpus({"x": caption}, {"x": ["y"]}).prediction_tokens[0]
    assert [name for _, name in coco_objects().mentions(tokens)] == objects


def test_the_table_has_the_categories_of_coco() -> None:
    assert len(coco_objects().names) == 80
    for name in ("person", "fire hydrant", "sports ball", "tv", "hair drier", "toothbrush"):
        assert coco_objects().named(name) == name


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_text("truck, Fire  Engine, lorry\nperson, fireman\n", encoding="utf-8")
    table = ObjectTable.load(path)
    assert table.source == "synonyms.txt"
    said = table.mentions("firemen on two fire engines")
    assert said == [("fireman", "person"), ("fire engine", "truck")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no objects"),
        (b"dog, puppy\n, cat\n", "line 2: there is no name before the comma"),
        (b"caf\xe9", "not UTF-8"),
        (None, "Cannot read"),
    ],
)
def test_a_table_that_cannot_be_used(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MetricError, match=message):
        ObjectTable.load(path)


def test_captions_that_name_no_object() -> None:
    report = score_captions({"x": "it"}, {"x": ["a dog"]}, metrics=["chair"])
    assert report.corpus["CHAIRi"] == 0
    assert any("No caption names an object" in note for note in report.notes)
    report = score_captions({"x": "a cat"}, {"x": ["a dog"]}, metrics=["chair"])
    assert not any("No caption names an object" in note for note in report.notes)
