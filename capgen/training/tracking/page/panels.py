"""The curves of a run: loss, scores on val with the saved models marked, rates, speed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from capgen.pages.panel import Line, Panel, Points
from capgen.records import CheckpointSaved, EpochEvent, Event
from capgen.training.run.event_log import Axis

# Charts are about 300 pixels wide: more points only make the page larger.
_MAX_POINTS = 300
# Numbers of val without a curve of their own; those of BLEU look like that of BLEU-4.
_TABLE_ONLY = ("loss", "seconds", "BLEU-1", "BLEU-2", "BLEU-3")
# What every run measures; other numbers come from the objective.
_NOT_OF_OBJECTIVE = tuple(
    f"train/{name}" for name in ("loss", "images_per_second", "memory_gib", "epoch_")
)


class Curves:
    """The numbers in a run's events, as curves."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._values: dict[str, list[tuple[float, float]]] = {}
        self._saved: dict[str, list[float]] = {}
        axis = Axis()
        for event in events:
            point = axis.take(event)
            if point is not None:
                for name, value in point.values.items():
                    self._values.setdefault(name, []).append((point.step, value))
            elif isinstance(event, CheckpointSaved) and event.epoch:
                self._saved.setdefault(event.name, []).append(axis.step)

    def panels(self) -> list[Panel]:
        """Return the charts that are not empty."""
        scores = [name.removeprefix("val/") for name in self._values if name.startswith("val/")]
        rates = [name for name in self._values if name.startswith("learning_rate/")]
        panels = [
            self._panel(
                "Loss per token", {"training": "train/loss", "val": "val/loss"}, saved="best-loss"
            ),
            *(
                self._panel(f"{name} (val)", {name: f"val/{name}"}, saved="best-eval")
                for name in scores
                if name not in _TABLE_ONLY
            ),
            *(
                self._panel(f"{name.removeprefix('train/')} (training)", {"training": name})
                for name in self._values
                if name.startswith("train/") and not name.startswith(_NOT_OF_OBJECTIVE)
            ),
            self._panel("Learning rate", {name.partition("/")[2]: name for name in rates}),
            self._panel("Images per second", {"training": "train/images_per_second"}),
        ]
        return [panel for panel in panels if panel.lines]

    def _panel(self, title: str, names: dict[str, str], *, saved: str = "") -> Panel:
        lines = tuple(
            Line(name=name, points=_thinned(self._values[key]))
            for name, key in names.items()
            if key in self._values
        )
        measured = dict(self._values.get(list(names.values())[-1], ())) if names else {}
        marks = tuple(
            (step, measured[step]) for step in self._saved.get(saved, ()) if step in measured
        )
        return Panel(title=title, lines=lines, saved=saved if marks else "", marks=marks)


def _thinned(points: Sequence[tuple[float, float]]) -> Points:
    """Return the points; if there are too many, averages of neighbours."""
    size = max(1, -(-len(points) // _MAX_POINTS))
    groups = [points[first : first + size] for first in range(0, len(points), size)]
    return tuple((group[-1][0], sum(value for _, value in group) / len(group)) for group in groups)


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
