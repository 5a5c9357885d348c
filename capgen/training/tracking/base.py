"""The interface of trackers, which receive a run's events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from capgen.records import Event


class Tracker(Protocol):
    """Follows a run."""

    def start(self, run: Path, settings: Mapping[str, Any]) -> None:
        """A run starts or is resumed."""
        ...

    def event(self, event: Event) -> None:
        """Something happened in the run."""
        ...

    def finish(self) -> None:
        """The run ended, successfully or not."""
        ...
