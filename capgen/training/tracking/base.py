"""Trackers: what else is told about a run, besides its folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
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


class Trackers:
    """Several trackers, each left alone once it fails.

    Args:
        trackers: The trackers; None among them are left out.
        heard: What they have to tell the user, to which they append.
    """

    def __init__(self, trackers: Iterable[Tracker | None], heard: deque[str]) -> None:
        self._trackers = [CarefulTracker(tracker) for tracker in trackers if tracker is not None]
        self._heard = heard
        self._told: set[str] = set()
        self._finished = False

    def start(self, run: Path, settings: Mapping[str, Any]) -> None:
        """A run begins or is resumed."""
        for tracker in self._trackers:
            tracker.start(run, settings)

    def event(self, event: Event) -> None:
        """Something happened in it."""
        for tracker in self._trackers:
            tracker.event(event)

    def finish(self) -> None:
        """It ended, well or not; a second call does nothing."""
        if self._finished:
            return
        self._finished = True
        for tracker in self._trackers:
            tracker.finish()

    def news(self) -> list[str]:
        """Return what the user was not told yet: messages and failures, in plain words."""
        found = [self._heard.popleft() for _ in range(len(self._heard))]
        for tracker in self._trackers:
            if tracker.failure and tracker.failure not in self._told:
                self._told.add(tracker.failure)
                found.append(tracker.failure)
        return found
