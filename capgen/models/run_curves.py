"""The numbers of a training run as curves over its steps. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Iterable

from capgen.models.run_events import Axis
from capgen.records import CheckpointSaved, Event

Points = list[tuple[int, float]]

_OF_VAL = "val/"
# Numbers of val that are no scores, or whose curve looks like that of BLEU-4.
_WITHOUT_CURVE = ("loss", "seconds", "BLEU-1", "BLEU-2", "BLEU-3")


class Curves:
    """The numbers in a run's events by name (see `Point.values`), each over steps.

    The steps of a curve only grow: of what was recorded twice for a step the last counts, and
    where a run went back to an earlier step, what it had recorded after that step does not.

    Attributes:
        axis: The steps and epochs at the end.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.axis = Axis()
        self._values: dict[str, dict[int, float]] = {}
        self._saved: dict[str, set[int]] = {}
        for event in events:
            before = self.axis.step
            point = self.axis.take(event)
            if self.axis.step < before:
                self._forget_after(self.axis.step)
            if point is not None:
                for name, value in point.values.items():
                    if math.isfinite(value):
                        self._values.setdefault(name, {})[point.step] = value
            elif isinstance(event, CheckpointSaved) and event.epoch:
                self._saved.setdefault(event.name, set()).add(self.axis.step)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the numbers, in the order in which they came first."""
        return tuple(self._values)

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores of val that have a curve, without `val/`."""
        names = (name.removeprefix(_OF_VAL) for name in self._values if name.startswith(_OF_VAL))
        return tuple(name for name in names if name not in _WITHOUT_CURVE)

    def points(self, name: str) -> Points:
        """Return the (step, value) points of a number, by step; empty if it was not recorded."""
        return sorted(self._values.get(name, {}).items())

    def saved(self, checkpoint: str) -> list[int]:
        """Return the steps after which a checkpoint was saved, without that of a run's start."""
        return sorted(self._saved.get(checkpoint, ()))

    def _forget_after(self, step: int) -> None:
        kept = {
            name: {at: value for at, value in points.items() if at <= step}
            for name, points in self._values.items()
        }
        self._values = {name: points for name, points in kept.items() if points}
        self._saved = {
            name: {at for at in steps if at <= step} for name, steps in self._saved.items()
        }
