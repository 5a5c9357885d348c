"""Images per second of several models, measured side by side.

The models take turns with the same few images, so that other load on the machine affects all of
them; the order is reversed after each round.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, setting


@dataclass(frozen=True, kw_only=True)
class SpeedOptions:
    """How speed is measured."""

    rounds: int = setting(7, "Rounds in which each model captions the images once.", low=1)
    images: int = setting(8, "Images per round.", low=1)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast a model is, in images per second, including reading and decoding the images.

    `photos_per_second` is the median over the rounds.
    """

    photos_per_second: float
    slowest: float
    fastest: float
    device: str
    runtime: str

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as built-in types."""
        return dict(vars(self))


def measure(
    captioners: Mapping[str, Captioner],
    images: Sequence[Path],
    options: DecodeOptions | None = None,
    *,
    rounds: int = SpeedOptions.rounds,
) -> dict[str, Speed]:
    """Return the speed of each model by name, measured after one warm-up round.

    In each round every model captions all images as one batch.
    """
    times: dict[str, list[float]] = {name: [] for name in captioners}
    for number in range(rounds + 1):
        names = list(captioners) if number % 2 else list(captioners)[::-1]
        for name in names:
            start = time.perf_counter()
            for _ in captioners[name].stream(images, options, batch_size=len(images)):
                pass
            if number:
                times[name].append(time.perf_counter() - start)
    return {name: _speed(captioners[name], times[name], len(images)) for name in captioners}


def _speed(captioner: Captioner, seconds: Sequence[float], images: int) -> Speed:
    return Speed(
        photos_per_second=images / median(seconds),
        slowest=images / max(seconds),
        fastest=images / min(seconds),
        device=str(captioner.runtime.device),
        runtime=captioner.runtime.name,
    )
