"""The curves of a run: loss, scores on val with the saved models marked, rates, speed."""

from __future__ import annotations

from collections.abc import Iterable

from capgen.models.run_curves import Curves
from capgen.models.run_events import Axis
from capgen.pages.panel import Line, Panel
from capgen.records import CheckpointSaved, EpochEvent, Event

# What every run measures; other numbers come from the objective.
_NOT_OF_OBJECTIVE = tuple(
    f"train/{name}" for name in ("loss", "images_per_second", "memory_gib", "epoch_")
)


def panels(events: Iterable[Event]) -> list[Panel]:
    """Return the charts of a run that are not empty."""
    curves = Curves(events)
    rates = [name for name in curves.names if name.startswith("learning_rate/")]
    found = [
        _panel(
            curves,
            "Loss per token",
            {"training": "train/loss", "val": "val/loss"},
            saved="best-loss",
        ),
        *(
            _panel(curves, f"{name} (val)", {name: f"val/{name}"}, saved="best-eval")
            for name in curves.scores
        ),
        *(
            _panel(curves, f"{name.removeprefix('train/')} (training)", {"training": name})
            for name in curves.names
            if name.startswith("train/") and not name.startswith(_NOT_OF_OBJECTIVE)
        ),
        _panel(curves, "Learning rate", {name.partition("/")[2]: name for name in rates}),
        _panel(curves, "Images per second", {"training": "train/images_per_second"}),
    ]
    return [panel for panel in found if panel.lines]


def _panel(curves: Curves, title: str, names: dict[str, str], *, saved: str = "") -> Panel:
    lines = tuple(Line.of(name, curves.points(key)) for name, key in names.items() if key in curves)
    measured = dict(curves.points(list(names.values())[-1])) if names else {}
    marks = tuple((step, measured[step]) for step in curves.saved(saved) if step in measured)
    return Panel(title=title, lines=lines, saved=saved if marks else "", marks=marks)


def epochs(events: Iterable[Event]) -> list[tuple[int, EpochEvent, list[str]]]:
    """Return each epoch: its number over all stages, its event, and the models saved after it."""
    axis = Axis()
    history: list[tuple[int, EpochEvent, list[str]]] = []
    for event in events:
        axis.take(event)
        if isinstance(event, EpochEvent):
            history.append((axis.epoch, event, []))
        elif (
            isinstance(event, CheckpointSaved) and history and event.name != "last" and event.epoch
        ):
            history[-1][2].append(event.name)
    return history
