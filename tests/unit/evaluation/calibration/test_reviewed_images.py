"""A confidence that is fitted on what people took as it was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from capgen.captioning.confidence.observe import Observation
from capgen.config import CalibrateConfig, DecodeSettings
from capgen.errors import DataError, MetricError
from capgen.evaluation.calibration import calibrate as module
from capgen.evaluation.calibration.calibrate import Calibrated, calibrate
from capgen.evaluation.calibration.confidence_fit import confidence
from capgen.evaluation.calibration.reviewed_images import read_reviewed_images
from capgen.records import Caption, Review
from capgen.reviews.journal import Decision, ImageKey, ReviewJournal, reviews_path
from capgen.reviews.sampling import sample_order
from tests.unit.evaluation.calibration.test_calibrate import GOOD, observations
from tests.unit.reviews.made import caption


def write(path: Path, seen: list[Observation], **changes: Any) -> Path:
    """Records of what was seen; people took the good captions, and wrote others anew."""
    captions: list[Caption] = []
    decisions = []
    for number, one in enumerate(seen):
        text = f"{one.text} {number}"
        record = dataclasses.replace(caption(number), text=text, **changes)
        verdict = "accepted" if one.text == GOOD else ("edited", "rejected")[number % 2]
        review = Review(
            verdict=verdict,
            proposed=text,
            caption="somebody wrote this" if verdict == "edited" else text,
        )
        captions.append(record)
        decisions.append(Decision(ImageKey.of(record), review))
    path.write_text("".join(json.dumps(record.to_dict()) + "\n" for record in captions))
    journal = ReviewJournal(reviews_path(path))
    journal.add(decisions)
    journal.close()
    return path


def in_order(path: Path, seen: list[Observation]) -> list[Observation]:
    """What a model says again about the images, in the order in which they are asked for."""
    records = [Caption.from_dict(json.loads(line)) for line in path.read_text().splitlines()]
    return [seen[place]._replace(text=records[place].text) for place in sample_order(list(records))]


def fit(monkeypatch: pytest.MonkeyPatch, again: list[Any], path: Path) -> Calibrated:
    monkeypatch.setattr(module, "observe", lambda *_, **__: iter(again))
    captioner: Any = SimpleNamespace(
        settings=lambda options: (DecodeSettings(), ()),
        runtime=SimpleNamespace(name="onnx", dtype="float32"),
        prompting=SimpleNamespace(asked={}),
    )
    config = CalibrateConfig(drawn=0)
    *_, last = calibrate(captioner, read_reviewed_images(path), config=config)
    assert isinstance(last, Calibrated)
    return last


def test_the_fit_finds_what_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _ = observations(400, 0)
    path = write(tmp_path / "captions.jsonl", seen)
    last = fit(monkeypatch, in_order(path, seen), path)
    assert last.fit.meaning == "right (as reviewed)"
    assert last.fit.definition == {"metric": "reviews", "threshold": 0.5}
    good = sum(one.text == GOOD for one in seen)
    assert last.quality["good"] == pytest.approx(good / 400)
    assert last.fit.provenance["data"] == [
        {"name": "captions.jsonl", "reviewed": 400, "used": 400, "right": good}
    ]
    fresh, chances = observations(300, 2)
    sure = np.array([confidence(last.fit, one) for one in fresh])
    assert np.abs(sure - chances).mean() < 0.08


def test_captions_that_nobody_reviewed_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model says something else about some images now."""
    seen, _ = observations(200, 0)
    path = write(tmp_path / "captions.jsonl", seen)
    again = in_order(path, seen)
    for place in range(0, 200, 4):
        again[place] = again[place]._replace(text="a new thing to say")
    again[1] = again[1]._replace(text=again[1].text.upper() + ".")  # the same words
    last = fit(monkeypatch, again, path)
    assert last.fit.provenance["photos"] == 150
    few = [one._replace(text="new") if place >= 40 else one for place, one in enumerate(again)]
    with pytest.raises(DataError, match="needs at least 50 images, and has") as caught:
        fit(monkeypatch, few, path)
    assert "same decoding settings" in caught.value.hint


def test_captions_that_were_changed_afterwards(tmp_path: Path) -> None:
    """`--prefix` changed what the model said: people saw the changed text."""
    seen, _ = observations(60, 0)
    path = write(tmp_path / "captions.jsonl", seen, raw="what the model said")
    images = read_reviewed_images(path)
    found = images.right([seen[0]._replace(text="what the model said")] * 60)
    expected = [float(bool(one.right)) for one in images.judged]
    assert found.tolist() == expected and 0 < sum(expected) < 60
    assert np.isnan(images.right([None] * 60)).all()


def test_too_few_of_one_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [one._replace(text=GOOD) for one in observations(80, 0)[0]]
    path = write(tmp_path / "captions.jsonl", seen)
    with pytest.raises(MetricError, match="80 of 80 captions are good") as caught:
        fit(monkeypatch, in_order(path, seen), path)
    assert caught.value.hint == "Review more captions."


def test_the_first_of_the_random_order(tmp_path: Path) -> None:
    seen, _ = observations(60, 0)
    path = write(tmp_path / "captions.jsonl", seen)
    every, first = read_reviewed_images(path), read_reviewed_images(path, limit=25)
    assert len(every.images) == 60 and every.images[:25] == first.images
