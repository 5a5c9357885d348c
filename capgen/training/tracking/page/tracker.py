"""Writes the page of a run after each epoch and at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capgen.models.folder import RUN_ENVIRONMENT_FILE
from capgen.models.run_events import read_events
from capgen.paths import write_text
from capgen.records import EpochEvent, Event, PreparationEvent, RunResumed, RunStarted, StepEvent
from capgen.training.tracking.page.report import run_page
from capgen.training.tracking.page.samples import Images

PAGE_FILE = "run.html"


class PageTracker:
    """Keeps `run.html` in a run's folder up to date."""

    def __init__(self) -> None:
        self._run = Path()
        self._settings: Mapping[str, Any] = {}
        self._events: list[Event] = []
        self._images = Images()
        self._due = False

    def start(self, run: Path, settings: Mapping[str, Any]) -> None:
        """Remember the run."""
        self._run, self._settings = run, settings

    def event(self, event: Event) -> None:
        """Take in an event; the first step of an epoch writes the page of the one before."""
        if isinstance(event, PreparationEvent):
            return
        if self._due and isinstance(event, StepEvent):
            self._write(stopped=False)
        # The record of a resumed run has the earlier events, too.
        recorded = isinstance(event, RunStarted | RunResumed) and read_events(self._run)
        if recorded:
            self._events = recorded
        else:
            self._events.append(event)
        self._due = self._due or isinstance(event, EpochEvent)

    def finish(self) -> None:
        """Write the final page."""
        if self._events:
            self._write(stopped=True)

    def _write(self, *, stopped: bool) -> None:
        self._due = False
        write_text(
            self._run / PAGE_FILE,
            run_page(
                self._run.name,
                self._events,
                self._settings,
                self._environment(),
                stopped=stopped,
                images=self._images,
            ),
        )

    def _environment(self) -> dict[str, Any]:
        files = [
            self._run / RUN_ENVIRONMENT_FILE,
            *self._run.glob(f"stages/*/{RUN_ENVIRONMENT_FILE}"),
        ]
        file = next(filter(Path.is_file, files), files[0])
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}
