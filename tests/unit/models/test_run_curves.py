"""The curves of a run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from capgen.models.run_curves import Curves
from capgen.models.run_events import read_events
from capgen.records import Event, RunResumed, StageStarted, StepEvent
from tests.unit.training.tracking.page.recorded_runs import epoch_of, finished, started

OLD = Path(__file__).parents[2] / "data" / "v0.1"


def epoch(number: int, score: float) -> list[Event]:
    return epoch_of(number, images=[], captions=[], score=score)


def step(at: int, loss: float) -> Event:
    return StepEvent(step=at, epoch=1, loss=loss, learning_rate=1e-3, images_per_second=1.0)


def resumed(at: int) -> Event:
    return RunResumed(run="/runs/told", epoch=0, step=at, epochs=3, steps=30)


def test_scores_and_losses_over_steps() -> None:
    curves = Curves([*started(), *epoch(1, 0.2), *epoch(2, 0.1), *finished()])
    assert curves.scores == ("BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR")
    assert curves.points("val/CIDEr-D") == [(10, 0.2), (20, 0.1)]
    assert curves.points("train/loss")[0] == (1, 5.0)
    assert len(curves.points("train/loss")) == 20
    assert curves.saved("best-eval") == [10, 20]
    assert "val/SPICE" not in curves and curves.points("val/SPICE") == []


def test_what_a_resumed_run_repeated_counts_once() -> None:
    events = [*started(), step(10, 5.0), step(20, 4.0), step(30, 3.0), resumed(15)]
    curves = Curves([*events, step(20, 4.5), step(25, 4.2)])
    assert curves.points("train/loss") == [(10, 5.0), (20, 4.5), (25, 4.2)]
    # Nothing after the state that it resumed from is left, even if no step was logged again.
    assert Curves(events).points("train/loss") == [(10, 5.0)]
    assert Curves(events).axis.step == 15


def test_the_last_record_of_a_step_counts_without_a_word_about_resuming() -> None:
    events = [*started(), *epoch(1, 0.2), *epoch(2, 0.4), *epoch(2, 0.3)]
    curves = Curves(events)
    assert curves.points("val/CIDEr-D") == [(10, 0.2), (20, 0.3)]
    steps = [at for at, _ in curves.points("train/loss")]
    assert steps == list(range(1, 21))
    assert curves.saved("best-eval") == [10, 20]


def test_stages_that_were_resumed_go_on_along_one_axis() -> None:
    def stage(number: int) -> Event:
        return StageStarted(
            run="/runs/told", path="", stage="x", number=number, count=2,
            steps_before=10 * (number - 1), epochs_before=number - 1,
        )  # fmt: skip

    second = [stage(2), *started(), *epoch(1, 0.5)]
    curves = Curves([stage(1), *started(), *epoch(1, 0.2), *second, resumed(4), step(8, 9.0)])
    steps = [at for at, _ in curves.points("train/loss")]
    assert steps == [*range(1, 15), 18]
    assert curves.points("val/METEOR") == [(10, 0.1)], "that of step 20 has to come again"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_no_chart_can_show_is_left_out(value: float) -> None:
    curves = Curves([*started(), step(1, value), step(2, 3.0)])
    assert curves.points("train/loss") == [(2, 3.0)]


@pytest.mark.parametrize("run", ["run", "staged", "stopped", "staged/stages/2-second"])
def test_runs_of_earlier_versions_have_curves(run: str) -> None:
    curves = Curves(read_events(OLD / run))
    points = curves.points("train/loss")
    assert points and [at for at, _ in points] == sorted({at for at, _ in points})
    assert ("val/loss" in curves) == (run != "stopped")
