"""What is named on a command line, as units that machines share out."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from capgen.addresses import is_stored
from capgen.captioning.batch.inputs import Inputs, stored_matches
from capgen.captioning.batch.sources import Source
from capgen.config import ImageLimits, InputOptions
from capgen.distributed.plan import ImageUnit, Unit
from capgen.images.folders import is_shard
from capgen.paths import is_file
from capgen.storage.drivers import check_driver
from capgen.tables.rows import is_parquet


@dataclass(frozen=True, slots=True)
class Container:
    """An archive, or a Parquet table, with many images."""

    name: str
    options: InputOptions

    def sources(self, limits: ImageLimits) -> Iterable[Source]:
        return Inputs([self.name], self.options, limits=limits)


def list_units(
    names: Sequence[str],
    options: InputOptions,
    limits: ImageLimits,
    manifest: Path | str | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Unit]:
    """Yield what names stand for, read as needed; archives and Parquet tables are not opened.

    Raises:
        DataError: The manifest cannot be read.
        StoreError: A store cannot be listed.
    """
    for name in names:
        if is_stored(name) and glob.has_magic(name):
            check_driver(name)
            for found in stored_matches(name, options):
                if isinstance(found, str):
                    yield from _units(found, options, limits)
                else:
                    yield ImageUnit(found)
        else:
            yield from _units(name, options, limits, stdin)
    if manifest is not None and is_parquet(str(manifest)):
        yield Container(str(manifest), options)
    elif manifest is not None:
        yield from map(ImageUnit, Inputs([], options, manifest=manifest, limits=limits))


def _units(
    name: str, options: InputOptions, limits: ImageLimits, stdin: BinaryIO | None = None
) -> Iterator[Unit]:
    holds_many = is_shard(Path(name)) or is_parquet(name)
    if holds_many and (is_stored(name) or is_file(Path(name))):
        yield Container(name, options)
    else:
        yield from map(ImageUnit, Inputs([name], options, limits=limits, stdin=stdin))
