"""Which words models say and miss: counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capgen.config import EvalConfig
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.result import Evaluation
from capgen.evaluation.systems import PredictionsSystem
from capgen.evaluation.word_classes import class_of
from capgen.evaluation.word_recall import WordRecall, WordRecalls, wilson, word_recalls
from capgen.evaluation.word_sections import class_tables, missed_tables, object_tables
from capgen.records import Example

# A dog is named twice for each of six images, and a cat only once.
REFERENCES = (
    "a brown dog runs on the grass",
    "two dogs running on grass beside a cat",
    "something else",
)
FIRST = ["a dog"] * 4 + ["a dog runs on the grass", "a horse runs"]
SECOND = ["a cat on the grass"] * 4 + ["a brown dog on grass", "a green horse"]


def evaluation(name: str, captions: list[str], language: str = "en") -> Evaluation:
    pool = tuple(
        Example(image_id=f"{n}", image=Path(f"{n}.jpg"), references=REFERENCES, split="test")
        for n in range(len(captions))
    )
    data = EvaluationSet(name="x", split="test", pool=pool, language=language)
    said = tuple((f"{n}", text) for n, text in enumerate(captions))
    config = EvalConfig(metrics="bleu", resamples=200)
    return evaluate(PredictionsSystem(Predictions(name=name, captions=said)), data, config=config)


@pytest.fixture(scope="module")
def found() -> WordRecalls:
    recalls = word_recalls([evaluation("one", FIRST), evaluation("other", SECOND)])
    assert recalls is not None
    return recalls


def of(items: tuple[WordRecall, ...], name: str) -> WordRecall:
    return next(item for item in items if item.name == name)


def test_objects(found: WordRecalls) -> None:
    dog, grass = (of(found.objects, name) for name in ("dog", "grass"))
    assert {item.name for item in found.objects} == {"dog", "grass"}
    assert (dog.asked, grass.asked) == (6, 6)
    assert [round(one.value * 6) for one in dog.recall] == [5, 1]
    assert [round(one.value * 6) for one in grass.recall] == [1, 5]
    assert dog.precision == (1.0, 1.0)
    (difference,) = dog.difference
    assert difference.value == pytest.approx(4 / 6)
    assert 0 < difference.low < 4 / 6 < difference.high <= 1


def test_classes(found: WordRecalls) -> None:
    # For each image a dog, grass, running and the position are asked for; neither brown nor two.
    assert [(item.name, item.asked) for item in found.classes] == [
        ("objects", 12),
        ("actions", 6),
        ("positions", 6),
    ]
    objects, actions, positions = found.classes
    assert [one.value for one in objects.recall] == pytest.approx([6 / 12, 6 / 12])
    assert [one.value for one in actions.recall] == pytest.approx([2 / 6, 0])
    assert [one.value for one in positions.recall] == pytest.approx([1 / 6, 5 / 6])
    # No reference has a horse: six of seven objects of the first, ten of eleven of the second.
    assert objects.precision == pytest.approx((6 / 7, 10 / 11))
    assert actions.precision == (1.0, None)


def test_the_interval_of_a_class_is_over_images(found: WordRecalls) -> None:
    """An independent bootstrap, one resample at a time."""
    generator = np.random.default_rng(7)
    right = np.array([1, 1, 1, 1, 2, 0])
    shares = [right[generator.choice(6, 6)].sum() / 12 for _ in range(4000)]
    interval = found.classes[0].recall[0]
    np.testing.assert_allclose(
        [interval.low, interval.high], np.quantile(shares, [0.025, 0.975]), atol=0.09
    )


def test_what_each_says_better_and_misses(found: WordRecalls) -> None:
    assert [item.name for item in found.said_better(1, 5, by_first=True)] == ["dog"]
    assert [item.name for item in found.said_better(1, 5, by_first=False)] == ["grass"]
    assert [item.name for item in found.missed(0, 1)] == ["grass"]
    assert [item.name for item in found.missed(1, 1)] == ["dog"]
    first, second = object_tables(found)
    assert first.caption.startswith("Objects that one says on more images than other")
    assert first.rows[0][0] == "dog"
    assert second.rows[0][0] == "grass"
    assert [table.rows[0][:3] for table in missed_tables(found)] == [
        ("grass", "6", "5"),
        ("dog", "6", "5"),
    ]
    (table,) = class_tables(found)
    rows = {row[0]: row for row in table.rows}
    assert rows["actions"][-2:] == ("1.00", "")


def test_more_than_two_models_have_a_table_of_each_kind() -> None:
    names = ("one", "other", "third")
    found = word_recalls([evaluation(name, FIRST) for name in names])
    assert found is not None
    recalls, precisions = class_tables(found)
    assert tuple(recalls.heads) == tuple(precisions.heads) == ("Class", "Asked for", *names)
    assert recalls.rows[0][2].startswith("0.50 (")
    assert precisions.rows[0][:3] == ("objects", "12", "0.86")


def test_only_english_is_read() -> None:
    assert word_recalls([evaluation("one", FIRST, "de")]) is None
    assert word_recalls([evaluation("one", ["x"] * 6, "en")]) is not None


def test_wilson() -> None:
    # Values of Newcombe, "Two-sided confidence intervals for the single proportion" (1998).
    for hits, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        interval = wilson(hits, total)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 20).low == 0
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=5e-5)
    assert wilson(29, 29).high == 1


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("dogs", ("objects", "dog")),
        ("men", ("objects", "man")),
        ("field", ("objects", "field")),
        ("running", ("actions", "run")),
        ("swinging", ("actions", "swing")),
        ("riding", ("actions", "ride")),
        ("grey", ("colours", "gray")),
        ("3", ("numbers", "three")),
        ("two", ("numbers", "two")),
        ("behind", ("positions", "behind")),
        ("young", ("qualities", "young")),
        ("grassy", ("qualities", "grassy")),
        ("the", None),
        ("'s", None),
        ("qwxyz", None),
    ],
)
def test_the_class_of_a_word(word: str, expected: tuple[str, str] | None) -> None:
    assert class_of(word) == expected
