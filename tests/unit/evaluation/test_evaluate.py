"""Evaluation and comparison: what they yield, report and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import capgen
from capgen.cli.console import Console
from capgen.cli.eval.view import follow
from capgen.config import EvalConfig
from capgen.errors import MetricError, UsageError
from capgen.evaluation.chosen_images import best, drawn, ranking_metric, worst
from capgen.evaluation.compare import compare
from capgen.evaluation.evaluate import evaluate, evaluation_events
from capgen.evaluation.events import (
    EvaluationFinished,
    ImageCaptioned,
    ImageFailed,
    ScoringStarted,
)
from capgen.evaluation.report_sections import verdict
from capgen.evaluation.result import Evaluation
from capgen.metrics import score
from capgen.metrics.score import score_captions
from capgen.records import Example
from tests.unit.evaluation.sets import GOOD, POOR, REFERENCES, Scripted, make_set

QUICK = EvalConfig(resamples=200)


def evaluated(captions: Any, config: EvalConfig = QUICK, **changes: Any) -> Evaluation:
    return evaluate(captions, make_set(**changes), config=config)


def test_scores_are_those_of_the_metrics() -> None:
    evaluation = evaluated(POOR)
    expected = score_captions(POOR, REFERENCES)
    assert evaluation.scores.corpus == expected.corpus
    assert evaluation.of("cat.jpg")["CIDEr-D"] == expected.per_image["CIDEr-D"][1]
    interval = evaluation.intervals["BLEU-1"]
    assert interval.low <= interval.value <= interval.high


def test_events_come_in_order_and_end_with_the_result() -> None:
    captions = {**GOOD, "boat.jpg": None}
    events = list(evaluation_events(Scripted(captions), make_set(), config=QUICK))
    kinds = [type(event) for event in events]
    assert kinds == [
        ImageCaptioned,
        ImageCaptioned,
        ImageFailed,
        *[ImageCaptioned] * 3,
        ScoringStarted,
        EvaluationFinished,
    ]
    assert [event.done for event in events[:6]] == [1, 2, 3, 4, 5, 6]  # type: ignore[union-attr]


@pytest.mark.parametrize("unpacked", [True, False])
def test_the_user_is_told_that_a_metric_is_prepared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], unpacked: bool
) -> None:
    monkeypatch.setattr(score, "are_unpacked", lambda: unpacked)
    started = ScoringStarted(images=6, note=score.first_use_note(["bleu", "meteor_1_5"]))
    follow(
        [started, EvaluationFinished(evaluation=evaluated(GOOD))], Console(), "captioning", 6, []
    )
    assert ("First use of METEOR-1.5" in capsys.readouterr().err) == (not unpacked)
    assert score.first_use_note(["bleu"]) is None


def test_images_without_a_caption_are_reported_and_not_scored() -> None:
    evaluation = evaluated(Scripted({**GOOD, "boat.jpg": None}))
    assert len(evaluation.captions) == evaluation.scores.stamp.images == 5
    assert evaluation.notes[0] == "Scores are over 5 of 6 images: 1 have no caption."
    record = evaluation.to_dict()
    assert record["failures"][0]["image_id"] == "boat.jpg"
    assert record["failures"][0]["error"]["code"] == "truncated"
    assert record["data"]["images"] == 6


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(MetricError, match="None of the 6 images") as caught:
        evaluated(Scripted(dict.fromkeys(GOOD)))
    assert not caught.value.hint
    with pytest.raises(MetricError, match="None of the 6 images") as caught:
        evaluated(Scripted(dict.fromkeys(GOOD)), split="")  # a file of references
    assert "--data-dir" in caught.value.hint


def test_the_record_is_complete_and_the_same_every_time() -> None:
    first, second = (json.dumps(evaluated(POOR).to_dict()) for _ in range(2))
    assert first == second
    record = json.loads(first)
    assert record["schema_version"] == 1
    assert record["images"][1] == {
        "image_id": "cat.jpg",
        "caption": "a dog on the grass",
        "scores": evaluated(POOR).of("cat.jpg"),
    }
    assert {"protocol", "tokenizer", "references_digest", "versions"} <= set(record["stamp"])
    assert record["data"]["split"] == "test"


def test_a_report_can_be_read_as_predictions(tmp_path: Any) -> None:
    first = evaluated(Scripted({**GOOD, "boat.jpg": None}))
    path = tmp_path / "report.json"
    path.write_text(json.dumps(first.to_dict()))
    second = evaluated(path)
    assert second.captions == first.captions
    assert list(second.failures) == ["boat.jpg"]
    assert second.scores.corpus == first.scores.corpus


def test_one_image_is_explained() -> None:
    evaluation = evaluated(GOOD, EvalConfig(resamples=100, limit=1))
    assert evaluation.scores.corpus["CIDEr-D"] == 0
    assert any("a single image" in note for note in evaluation.notes)


def test_novel_captions_are_counted_against_the_training_split() -> None:
    evaluation = evaluated(GOOD, training=("A dog runs over the grass .", "something else"))
    assert evaluation.scores.language.novel == pytest.approx(5 / 6)
    assert evaluated(GOOD).scores.language.novel is None


def test_an_unknown_metric_is_refused_before_any_captioning() -> None:
    events = evaluation_events(GOOD, make_set(), config=EvalConfig(metrics="bleu,ciderd"))
    with pytest.raises(UsageError, match="Unknown metric 'ciderd'") as caught:
        next(events)
    assert "cider_d" in caught.value.hint


def test_where_less_is_better_the_lowest_is_the_best() -> None:
    config = EvalConfig(metrics="chair")
    systems = Scripted(POOR, "poor"), Scripted(GOOD, "good")
    first, second = (evaluate(system, make_set(), config=config) for system in systems)
    assert ranking_metric(first.scores) in ("CHAIRi", "CHAIRs")
    # Only the captions of the cat, the boat and the bird name what is not there.
    assert set(worst(first, 3)) == {"cat.jpg", "boat.jpg", "bird.jpg"}
    compared = compare(first, second)
    name, difference = compared.disagreements(1)[0]
    assert name in worst(first, 3) and difference > 0
    assert verdict(compared, difference).startswith("good is ahead")


def test_examples() -> None:
    evaluation = evaluated(POOR)
    values = dict(zip(POOR, evaluation.scores.per_image["CIDEr-D"], strict=True))
    assert best(evaluation, 1) == [max(values, key=values.__getitem__)]
    lowest = worst(evaluation, 6)
    assert [values[name] for name in lowest] == sorted(values.values())
    assert drawn(evaluation, 2, seed=1) == drawn(evaluation, 5, seed=1)[:2]
    assert sorted(drawn(evaluation, 99, seed=3)) == sorted(POOR)


def test_comparison() -> None:
    comparison = compare(evaluated(GOOD), evaluated(POOR))
    item = comparison.differences["ROUGE-L"]
    assert item.difference.value == pytest.approx(item.first - item.second)
    assert item.difference.low > 0
    assert item.p_value < 0.05
    assert (item.wins, item.ties, item.losses) == (5, 1, 0)
    found = comparison.disagreements(3)
    assert len(found) == 3
    assert [abs(value) for _, value in found] == sorted((abs(v) for _, v in found), reverse=True)
    assert "dog.jpg" not in dict(comparison.disagreements(99))
    record = json.loads(json.dumps(comparison.to_dict()))
    assert record["differences"]["BLEU-4"]["wins"] == item.wins
    assert record["disagreements"]["images"][0]["first"] == GOOD[found[0][0]]


def test_a_system_does_not_differ_from_itself() -> None:
    for item in compare(evaluated(POOR), evaluated(POOR)).differences.values():
        assert item.difference.value == item.difference.low == item.difference.high == 0
        assert item.p_value == 1
        assert item.ties == 6


def test_images_that_one_system_fails_on_are_left_out_of_both() -> None:
    first = evaluated(Scripted({**GOOD, "boat.jpg": None}))
    second = evaluated(Scripted({**POOR, "cat.jpg": None}))
    comparison = compare(first, second)
    kept = [name for name in GOOD if name not in ("boat.jpg", "cat.jpg")]
    assert comparison.first.notes[0] == (
        "Scores are over 4 of 6 images: 1 have no caption, 1 have no caption by the other system."
    )
    assert list(comparison.first.captions) == list(comparison.second.captions) == kept
    expected = score_captions(
        {name: GOOD[name] for name in kept}, {name: REFERENCES[name] for name in kept}
    ).corpus
    assert comparison.differences["CIDEr-D"].first == expected["CIDEr-D"]
    assert np.isclose(comparison.differences["BLEU-4"].first, expected["BLEU-4"])


def test_other_images_cannot_be_compared() -> None:
    with pytest.raises(MetricError, match="different images: 3 are in only one of them"):
        compare(evaluated(GOOD), evaluated(POOR, limit=3))


def test_public_names() -> None:
    assert capgen.evaluate is evaluate
    assert capgen.compare is compare


def test_the_language_of_references_that_do_not_name_it_is_looked_for() -> None:
    """A file of references names none; METEOR cannot read Dutch."""
    told = "METEOR's stems and synonyms are English"
    dutch = tuple(
        Example(
            image_id=name,
            image=Path(name),
            references=("Een man met een hond op het strand",),
            split="test",
        )
        for name in GOOD
    )
    assert told in " ".join(evaluated(GOOD, pool=dutch).scores.notes)
    assert told not in " ".join(evaluated(GOOD).scores.notes)
    assert told not in " ".join(evaluated(GOOD, pool=dutch, language="en").scores.notes)
