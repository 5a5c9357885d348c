"""Folders that appear only when they are complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capgen import paths


@contextmanager
def staged(place: Path, task: str) -> Iterator[Path]:
    """Yield an empty folder beside `place`, which is renamed to it if the block succeeds.

    What a killed run left under the same `task` is deleted first.
    """
    temporary = place.with_name(f".{place.name}.{task}")
    with paths.storage_errors(temporary):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    try:
        yield temporary
        with paths.storage_errors(place):
            temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
