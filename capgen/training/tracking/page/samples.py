"""The followed images with their captions over the epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from capgen.pages.images import image
from capgen.pages.page import text
from capgen.records import Event, SampleEvent
from capgen.training.run.event_log import Axis

# Captions of an image that are seen at once; the others can be unfolded.
_SHOWN = 5
_SCORES = ("CIDEr-D", "METEOR")


@dataclass(frozen=True)
class _Said:
    """A caption and the epochs, first and last, that had it."""

    first: int
    last: int
    sample: SampleEvent


class Images:
    """Makes the cards of images, and remembers their HTML, which does not change."""

    def __init__(self) -> None:
        self._images: dict[str, str] = {}

    def cards(self, events: Iterable[Event]) -> str:
        """Return a grid of the followed images; empty if there are none."""
        by_image: dict[str, list[tuple[int, SampleEvent]]] = {}
        axis = Axis()
        for event in events:
            axis.take(event)
            if isinstance(event, SampleEvent) and event.followed:
                by_image.setdefault(event.image, []).append((axis.epoch, event))
        cards = "".join(self._card(said) for said in by_image.values())
        return f'<div class="grid">{cards}</div>' if cards else ""

    def _card(self, samples: Sequence[tuple[int, SampleEvent]]) -> str:
        last = samples[-1][1]
        if last.path not in self._images:
            alt = f"Image: {last.references[0]}" if last.references else f"Image {last.image}"
            self._images[last.path] = image(Path(last.path), alt)
        history = _grouped(samples)
        shown = _spread(history)
        references = "".join(f"<li>{text(reference)}</li>" for reference in last.references)
        folded = ""
        if len(shown) < len(history):
            folded = (
                f"<details><summary>All {len(history)} captions</summary>{_list(history)}</details>"
            )
        return (
            f'<article class="card">{self._images[last.path]}<h3>{text(last.image)}</h3>'
            f"{_list(shown)}{folded}<details><summary>{len(last.references)} human captions"
            f"</summary><ul>{references}</ul></details></article>"
        )


def _grouped(samples: Sequence[tuple[int, SampleEvent]]) -> list[_Said]:
    """Return the captions in order; the same one in epochs on end is one."""
    found = []
    for _, group in groupby(samples, key=lambda item: item[1].caption):
        same = list(group)
        found.append(_Said(same[0][0], same[-1][0], same[-1][1]))
    return found


def _spread(history: list[_Said]) -> list[_Said]:
    """Return at most `_SHOWN` captions, evenly spread, the first and the last among them."""
    if len(history) <= _SHOWN:
        return history
    return [history[round(n * (len(history) - 1) / (_SHOWN - 1))] for n in range(_SHOWN)]


def _list(history: Iterable[_Said]) -> str:
    items = []
    for said in history:
        when = f"Epoch {said.first}"
        if said.last > said.first:
            when = f"Epochs {said.first} to {said.last}"
        scores = "".join(
            f", {name} {said.sample.metrics[name]:.3f}"
            for name in _SCORES
            if name in said.sample.metrics
        )
        words = said.sample.caption.strip()
        caption = text(words) if words else '<span class="soft">(no words)</span>'
        items.append(f'<li><span class="soft">{when}{scores}</span>{caption}</li>')
    return f'<ol class="history">{"".join(items)}</ol>'
