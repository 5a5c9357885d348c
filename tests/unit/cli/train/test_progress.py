"""What is shown of a run elsewhere than on a terminal."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from capgen.cli import live_bar
from capgen.cli.time_left import TimeLeft
from capgen.cli.train import progress
from capgen.cli.train.command import render
from capgen.cli.train.progress import TrainingScreen
from capgen.errors import StorageError
from capgen.records import (
    EpochEvent,
    LimitPassed,
    Notice,
    PreparationEvent,
    RunCreated,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleEvent,
    StageFinished,
    StageStarted,
    StepEvent,
    TestEvent,
)

STARTED = RunStarted(
    run="r", preset="mini", device="cpu", precision="fp32", parameters=1, trained=1,
    images={"train": 8}, captions=8, epochs=2, steps=20,
)  # fmt: skip


class Clock:
    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(live_bar, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(live_bar, "TimeLeft", lambda: TimeLeft(lambda: clock.now))
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    return clock


def step(number: int, epoch: int = 1) -> StepEvent:
    return StepEvent(step=number, epoch=epoch, loss=2.0, learning_rate=0.1, images_per_second=1.0)


def test_the_time_left_is_known_from_the_first_report(clock, capsys) -> None:
    """Each step takes 100 seconds, and each validation 30."""
    with TrainingScreen() as screen:
        screen.show(STARTED)
        clock.now = 500.0
        screen.show(step(5))
        assert ": 5/20, 25:00 left loss 2.000" in capsys.readouterr().err
        clock.now = 1000.0
        screen.show(step(10))
        clock.now = 1030.0
        screen.show(EpochEvent(epoch=1, step=10, train_loss=2.0, eval_seconds=30.0))
        clock.now = 1530.0
        screen.show(step(15, epoch=2))
    assert "epoch 2/2: 15/20, 8:50 left" in capsys.readouterr().err


def test_steps_of_before_a_resume_took_no_time(clock, capsys) -> None:
    with TrainingScreen("r") as screen:
        screen.show(RunResumed(run="r", epoch=1, step=10, epochs=2, steps=20))
        clock.now = 100.0
        screen.show(step(11, epoch=2))
    assert "epoch 2/2: 11/20, 15:00 left" in capsys.readouterr().err


PREPARING = PreparationEvent(stage="features", split="train", done=3, total=8)
TESTED = TestEvent(name="best-eval", images=1, loss=1.0)


@pytest.mark.parametrize(
    ("run", "events", "told"),
    [
        ("", [], []),  # nothing is there yet
        ("", [RunCreated(run="/x/r")], ["Go on: capgen train --resume /x/r"]),
        (
            "r",
            [PREPARING],
            [
                "stopped before training, encoding images (train): 3 of 8 done; "
                "what is done is kept",
                "Go on: capgen train --resume r",
            ],
        ),
        ("r", [PREPARING, STARTED, step(3)], ["Go on: capgen train --resume r"]),
        (
            "r",
            [STARTED, step(3), StageStarted(run="r", path="p", stage="s", number=2, count=2),
             PREPARING],
            [
                "stopped before training, stage 2/2 encoding images (train): 3 of 8 done; "
                "what is done is kept",
                "Go on: capgen train --resume r",
            ],
        ),
        (
            "r",
            [STARTED, PreparationEvent(stage="photos", split="test", done=1, total=2)],
            [
                "stopped before testing, decoding images (test): 1 of 2 done; what is done is kept",
                "Go on: capgen train --resume r",
            ],
        ),
        ("r", [STARTED, TESTED, RunFinished(run="r", epochs=1, steps=1, seconds=1.0)], []),
    ],
)  # fmt: skip
def test_an_interruption_tells_what_is_kept_and_how_to_go_on(run, events, told, capsys) -> None:
    with TrainingScreen(run) as screen:
        for event in events:
            screen.show(event)
        capsys.readouterr()
        screen.interrupted()
    assert capsys.readouterr().err.splitlines() == told


def test_a_run_that_a_full_disk_ended_says_how_to_go_on() -> None:
    def work(*events):
        yield from events
        raise StorageError("No space left to write r/last", hint="Free some space.")

    with pytest.raises(StorageError) as caught:
        render(work(RunCreated(run="r")))
    assert caught.value.hint == "Free some space. Then go on: capgen train --resume r"
    with pytest.raises(StorageError) as caught:
        render(work())
    assert caught.value.hint == "Free some space."


def test_notices_limits_samples_and_stages_are_told(clock, capsys) -> None:
    with TrainingScreen() as screen:
        screen.show(Notice(message="few images"))
        screen.show(
            LimitPassed(epoch=1, setting="max_repetition", value=0.5, limit=0.1, message="too much")
        )
        for followed in (False, True):  # those that are followed are on the run's page
            screen.show(
                SampleEvent(
                    epoch=1, image="a", caption="a dog runs", references=(), followed=followed
                )
            )
        screen.show(StageFinished(stage="warm", number=1, epochs=1, steps=5, seconds=65.0))
    told = capsys.readouterr().err
    assert "note: few images\n" in told and "note: too much\n" in told
    assert told.count("a dog runs") == 1
    assert "stage warm done in 1:05" in told
