"""Trackers: what else is told about a run, besides its folder."""

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


class NullTracker:
    """Follows nothing."""

    def start(self, run: Path, settings: Mapping[str, Any]) -> None:
        """Do nothing."""

    def event(self, event: Event) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


class CarefulTracker:
    """Passes everything on to a tracker until that fails; then it is left alone.

    Args:
        tracker: The tracker.

    Attributes:
        failure: Why it was given up, in plain words; empty while it works.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker: Tracker = tracker
        self.failure = ""

    def start(self, run: Path, settings: Mapping[str, Any]) -> None:
        self._try("start", run, settings)

    def event(self, event: Event) -> None:
        self._try("event", event)

    def finish(self) -> None:
        self._try("finish")

    def _try(self, method: str, *arguments: Any) -> None:
        # Whatever goes wrong in somebody else's tracker must not cost a training run.
        try:
            getattr(self._tracker, method)(*arguments)
        except Exception as error:
            name = type(self._tracker).__name__
            self.failure = f"{name} failed and is off from here: {type(error).__name__}: {error}"
            self._tracker = NullTracker()
