"""The events that a run has recorded so far, and their numbers. Does not import torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from capgen.models.folder import RUN_EVENTS_FILE
from capgen.records import (
    EpochEvent,
    Event,
    RunFinished,
    RunResumed,
    StageStarted,
    StepEvent,
    TestEvent,
    event_from_dict,
)

EVENTS_FILE = RUN_EVENTS_FILE
# Fields of events by what is in them.
_COUNTS = ("step", "epoch", "steps_before", "epochs_before")
_VALUES = (
    *("loss", "train_loss", "learning_rate", "images_per_second", "memory"),
    *("seconds", "eval_seconds"),
)
_VALUES_BY_NAME = ("metrics", "numbers", "train_numbers", "learning_rates")


def read_records(run: Path) -> list[dict[str, Any]]:
    """Return the records in a run's `events.jsonl`; empty if there is no such file.

    A line that a kill cut short is left out; the next process may have written after it.
    """
    try:
        lines = (run / EVENTS_FILE).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def read_events(run: Path) -> list[Event]:
    """Return the events in a run's `events.jsonl` of the types that this version knows."""
    events = []
    for record in read_records(run):
        try:
            event = event_from_dict(record)
        except (TypeError, AttributeError):
            continue  # a field is missing, or the line is not ours
        if event is not None and _is_whole(event):
            events.append(event)
    return events


def _is_whole(event: Event) -> bool:
    """Whether the numbers of an event are numbers: people edit such files, and disks fail."""
    for name, value in vars(event).items():
        if name in _COUNTS and not isinstance(value, int):
            return False
        if name in _VALUES and not isinstance(value, int | float):
            return False
        if name == "val_loss" and not isinstance(value, int | float | None):
            return False
        if name in _VALUES_BY_NAME and not (
            isinstance(value, Mapping) and all(isinstance(n, int | float) for n in value.values())
        ):
            return False
    return True


@dataclass(frozen=True, kw_only=True)
class Point:
    """Numbers at one point of a run.

    Attributes:
        step: Steps taken, over all stages.
        epoch: The epoch, over all stages.
        values: Numbers by name: `train/loss`, `val/METEOR`, `best/METEOR`, …
    """

    step: int
    epoch: int
    values: Mapping[str, float]


@dataclass
class Axis:
    """Puts the events of a run on one axis of steps over all its stages.

    Each stage counts its steps and epochs from 1; here they continue where the last one ended.
    Only a resumed run may go back, to the steps of the state that it resumes from.

    Attributes:
        step: Steps at the last event.
        epoch: Epoch of the last event.
        best: Best value so far of each number of `val`.
    """

    step: int = 0
    epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)

    _stage_step: int = 0
    _stage_epoch: int = 0

    @classmethod
    def along(cls, events: Iterable[Event]) -> Self:
        """Return the axis after some events."""
        axis = cls()
        for event in events:
            axis.take(event)
        return axis

    def take(self, event: Event) -> Point | None:
        """Take in the next event; return its numbers, if it has any."""
        if isinstance(event, StageStarted):
            self._stage_step, self._stage_epoch = event.steps_before, event.epochs_before
        elif isinstance(event, RunResumed):
            self._move(event.step, event.epoch)
        elif isinstance(event, StepEvent):
            self._move(event.step, event.epoch)
            return self._point(_of_step(event))
        elif isinstance(event, EpochEvent):
            self._move(event.step, event.epoch)
            return self._point(self._of_epoch(event))
        elif isinstance(event, TestEvent):
            scores = {f"test/{name}": value for name, value in event.metrics.items()}
            return self._point({"test/loss": event.loss, **scores})
        elif isinstance(event, RunFinished):
            return self._point({"run/seconds": event.seconds})
        return None

    def _move(self, step: int, epoch: int) -> None:
        self.step, self.epoch = self._stage_step + step, self._stage_epoch + epoch

    def _point(self, values: Mapping[str, float]) -> Point:
        return Point(step=self.step, epoch=self.epoch, values=values)

    def _of_epoch(self, event: EpochEvent) -> dict[str, float]:
        values = {"train/epoch_loss": event.train_loss, "train/epoch_seconds": event.seconds}
        values |= {f"train/epoch_{name}": value for name, value in event.train_numbers.items()}
        if event.val_loss is not None:
            lowest = min(self.best.get("loss", event.val_loss), event.val_loss)
            self.best["loss"] = lowest
            values |= {"val/loss": event.val_loss, "val/seconds": event.eval_seconds}
        for name, value in event.metrics.items():
            self.best[name] = max(self.best.get(name, value), value)
            values[f"val/{name}"] = value
        return values | {f"best/{name}": value for name, value in self.best.items()}


def _of_step(event: StepEvent) -> dict[str, float]:
    rates: dict[str, Any] = {
        f"learning_rate/{part}": rate for part, rate in event.learning_rates.items()
    }
    return {
        "train/loss": event.loss,
        "train/images_per_second": event.images_per_second,
        "train/memory_gib": event.memory / 2**30,
        **{f"train/{name}": value for name, value in event.numbers.items()},
        **(rates or {"learning_rate/new": event.learning_rate}),
    }
