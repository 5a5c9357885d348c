"""What is named on a command line, as units that machines share out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.sources import Source
from capgen.config import ImageLimits, InputOptions
from capgen.distributed.plan import ImageUnit, Unit
from capgen.images.folders import is_shard
from capgen.paths import is_file


@dataclass(frozen=True, slots=True)
class Container:
    """An archive or a table with many images."""

    name: str
    options: InputOptions

    def sources(self, limits: ImageLimits) -> Iterable[Source]:
        return Inputs([self.name], self.options, limits=limits)


def list_units(
    names: Sequence[str],
    options: InputOptions,
    limits: ImageLimits,
    manifest: Path | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Unit]:
    """Yield what names stand for, read as needed; archives are not opened.

    Raises:
        DataError: The manifest cannot be read.
    """
    for name in names:
        if is_shard(Path(name)) and is_file(Path(name)):
            yield Container(name, options)
        else:
            yield from map(ImageUnit, Inputs([name], options, limits=limits, stdin=stdin))
    if manifest is not None:
        yield from map(ImageUnit, Inputs([], options, manifest=manifest, limits=limits))
