"""The events of a run as numbers on one axis."""

from __future__ import annotations

import json

import pytest

from capgen.models.run_curves import Curves
from capgen.models.run_events import EVENTS_FILE, Axis, read_events
from capgen.records import StageStarted
from tests.unit.training.tracking.page.recorded_runs import epoch_of, finished, started


def values_of(events, name):
    axis = Axis()
    points = [axis.take(event) for event in events]
    return [(point.step, point.values[name]) for point in points if point and name in point.values]


def test_numbers_of_a_run():
    events = [
        *started(),
        *epoch_of(1, images=[], captions=[], score=0.2),
        *epoch_of(2, images=[], captions=[], score=0.1),
        *finished(),
    ]
    assert values_of(events, "train/loss")[0] == (1, 5.0)
    assert values_of(events, "val/CIDEr-D") == [(10, 0.2), (20, 0.1)]
    assert values_of(events, "best/CIDEr-D") == [(10, 0.2), (20, 0.2)], "highest"
    assert values_of(events, "best/loss") == [(10, 3.0), (20, 1.5)], "lowest"
    assert values_of(events, "learning_rate/encoder")[0] == (1, 1e-4)
    assert values_of(events, "test/METEOR") == [(20, 0.25)]


def test_stages_follow_each_other_on_one_axis():
    events = []
    for number in range(3):
        begin = StageStarted(
            run="/runs/told", path="", stage="x", number=number + 1, count=3,
            steps_before=10 * number, epochs_before=number,
        )  # fmt: skip
        events += [begin, *started(), *epoch_of(1, images=[], captions=[], score=0.2)]
    axis = Axis()
    points = [axis.take(event) for event in events]
    steps = [point.step for point in points if point and "train/loss" in point.values]
    assert steps == list(range(1, 31))
    assert (axis.step, axis.epoch) == (30, 3)


def test_events_are_read_back_as_far_as_they_are_whole(tmp_path):
    events = [*started(), *epoch_of(1, images=[tmp_path / "a.jpg"], captions=["x"], score=0.2)]
    lines = [json.dumps(event.to_dict()) for event in events]
    lines[1:1] = ['{"event": "of a later version"}', "[]", '{"event": "step"}']
    (tmp_path / EVENTS_FILE).write_text("\n".join(lines) + '\n{"event": "ste')
    found = read_events(tmp_path)
    assert [json.loads(json.dumps(event.to_dict())) for event in found] == [
        json.loads(json.dumps(event.to_dict())) for event in events
    ]
    assert read_events(tmp_path / "nowhere") == []


@pytest.mark.parametrize("rates", [{}, {"new": 1e-3}])
def test_runs_of_earlier_versions_have_one_rate(rates):
    event = epoch_of(1, images=[], captions=[], score=0.2)[0]
    old = type(event).from_dict({**event.to_dict(), "learning_rates": rates})
    assert values_of([*started(), old], "learning_rate/new") == [(1, 1e-3)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("step", None), ("loss", None), ("loss", "low"), ("images_per_second", None)),
        *(("memory", "much"), ("numbers", {"reward": None}), ("learning_rates", [])),
    ],
)
def test_an_event_whose_numbers_are_none_is_left_out(tmp_path, field, value):
    events = [*started(), *epoch_of(1, images=[], captions=[], score=0.2)]
    records = [event.to_dict() for event in events]
    steps = [record for record in records if record["event"] == "step"]
    steps[3][field] = value
    (tmp_path / EVENTS_FILE).write_text("".join(f"{json.dumps(each)}\n" for each in records))
    kept = read_events(tmp_path)
    assert len(kept) == len(events) - 1
    curves = Curves(kept)
    assert len(curves.points("train/loss")) == len(steps) - 1
    assert len(curves.points("val/loss")) == 1
