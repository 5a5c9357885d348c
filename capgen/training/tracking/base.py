"""What a tracker is: told of a run's events, besides the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from capgen.records import Event


class Tracker(Protocol):
    """Follows a run."""

    def start(self, run: Path, settings: Mapping[str, Any]) -> None:
        """A run begins or is resumed."""
        ...

    def event(self, event: Event) -> None:
        """Something happened in it."""
        ...

    def finish(self) -> None:
        """It ended, well or not."""
        ...
