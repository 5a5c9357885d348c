"""The followed images, with their captions over the epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from capgen.models.run_events import Axis
from capgen.pages.images import NOT_SHOWN, InlineImage
from capgen.records import Event, SampleEvent

# Captions per image that are shown at once; the others can be unfolded.
_SHOWN = 5
_SCORES = ("CIDEr-D", "METEOR")


class _Entry(NamedTuple):
    """A caption, and the epochs that had it with its scores in the last of them."""

    when: str
    caption: str


class Card(NamedTuple):
    """A followed image, the captions shown at once, and all of them."""

    sample: SampleEvent
    image: InlineImage
    shown: list[_Entry]
    history: list[_Entry]


class Images:
    """Makes the cards of images; remembers the images, which do not change."""

    def __init__(self) -> None:
        self._images: dict[str, InlineImage] = {}

    def cards(self, events: Iterable[Event]) -> list[Card]:
        by_image: dict[str, list[tuple[int, SampleEvent]]] = {}
        axis = Axis()
        for event in events:
            axis.take(event)
            if isinstance(event, SampleEvent) and event.followed:
                by_image.setdefault(event.image, []).append((axis.epoch, event))
        return [self._card(samples) for samples in by_image.values()]

    def _card(self, samples: Sequence[tuple[int, SampleEvent]]) -> Card:
        last = samples[-1][1]
        path = last.path
        if path not in self._images:
            known = InlineImage.read(Path(path)) if path else InlineImage(fault=NOT_SHOWN)
            self._images[path] = known
        history = _grouped(samples)
        return Card(last, self._images[path], _spread(history), history)


def _grouped(samples: Sequence[tuple[int, SampleEvent]]) -> list[_Entry]:
    """Return the captions in order; equal captions of consecutive epochs are one."""
    entries = []
    for caption, group in groupby(samples, key=lambda item: item[1].caption):
        same = list(group)
        first, last, metrics = same[0][0], same[-1][0], same[-1][1].metrics
        when = f"Epochs {first} to {last}" if last > first else f"Epoch {first}"
        scores = "".join(f", {name} {metrics[name]:.3f}" for name in _SCORES if name in metrics)
        entries.append(_Entry(f"{when}{scores}", caption))
    return entries


def _spread(history: list[_Entry]) -> list[_Entry]:
    """Return at most `_SHOWN` captions, evenly spread, including the first and the last."""
    if len(history) <= _SHOWN:
        return history
    return [history[round(n * (len(history) - 1) / (_SHOWN - 1))] for n in range(_SHOWN)]
