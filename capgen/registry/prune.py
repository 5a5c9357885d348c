"""Find training runs that left nothing to use or to go on with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from capgen.paths import runs_dir
from capgen.registry.entries import NO_EPOCH, RUN, ModelEntry
from capgen.registry.listing import list_models

# A run that was written to since may still be running.
_QUIET_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class Useless:
    """A run or checkpoint without use.

    Attributes:
        name: Its name for `changes.remove`.
        reason: What is wrong with it.
        kept: Why it is kept all the same; empty for one to remove.
    """

    name: str
    reason: str
    kept: str = ""


def useless_runs() -> list[Useless]:
    """Return the runs without a model, and checkpoints that are broken.

    Those that may still be running, or have a saved state to go on from, are kept.
    """
    return [_judged(entry) for entry in list_models() if entry.kind == RUN and entry.problem]


def _judged(entry: ModelEntry) -> Useless:
    assert entry.path is not None
    young = entry.problem.startswith(NO_EPOCH)
    run = runs_dir() / entry.name.partition("/")[0]
    if time.time() - max(_changes(run), default=0.0) < _QUIET_SECONDS:
        kept = "it changed less than an hour ago and may be running"
    elif young and any(run.glob("**/state/step-*")):
        kept = f"it can go on: capgen train --resume {entry.name}"
    else:
        kept = ""
    return Useless(name=entry.name, reason=NO_EPOCH if young else entry.problem, kept=kept)


def _changes(folder: Path) -> Iterator[float]:
    """Yield when a folder and what is in it were changed."""
    for path in (folder, *folder.rglob("*")):
        with suppress(OSError):
            yield path.stat().st_mtime
