"""A driver of a Ray cluster: pictures that wait for a gate, and some that kill who reads them.

python -m tests.ray_driver PICTURES OUTPUT ADDRESS GATE [NAME_OF_A_KILLER…]
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from capgen import Captioner
from capgen.captioning.batch.sources import FileSource
from capgen.config import EngineOptions, ImageLimits
from capgen.distributed.caption_share import ShareJob
from capgen.distributed.plan import ImageUnit, Unit
from capgen.distributed.ray_engine import caption_with_ray

PART_SIZE = 10


@dataclass(frozen=True, slots=True)
class GatedSource(FileSource):
    """A file that is read while a file `gate` is there; or kills who reads it."""

    gate: str = ""
    kills: bool = False

    def read(self, limits: ImageLimits, stop: Event) -> bytes:
        while not Path(self.gate).exists():
            if stop.wait(0.02):
                break
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        return FileSource.read(self, limits, stop)


def gated_units(pictures: Path, gate: Path, killers: Sequence[str]) -> Iterator[Unit]:
    for file in sorted(pictures.iterdir()):
        yield ImageUnit(GatedSource(str(file), None, str(gate), file.name in killers))


def load(threads: int) -> Captioner:
    return Captioner.from_pretrained("mini:int8", threads=threads)


def main(pictures: str, output: str, address: str, gate: str, *killers: str) -> None:
    options = EngineOptions(engine="ray", ray_address=address or None, actor_cpus=1, actors="1:3")
    job = ShareJob(place=output, part_size=PART_SIZE)
    units = gated_units(Path(pictures), Path(gate), killers)
    for event in caption_with_ray(partial(load), units, job, options):
        print(event, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
