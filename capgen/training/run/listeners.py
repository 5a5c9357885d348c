"""The listeners to a run's events: its record, its trackers and, after them, the caller."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from capgen.config import TrainConfig
from capgen.errors import TrainingStopped
from capgen.records import Event, Notice, RunFinished
from capgen.training.run.folder import RunFolder
from capgen.training.run.session import Session
from capgen.training.tracking import open_trackers
from capgen.training.tracking.base import Tracker

logger = logging.getLogger(__name__)
# Quiet unless the program asks for logs: notices say what users need to know.
logger.addHandler(logging.NullHandler())


def run_to_end(session: Session, listeners: Listeners) -> Iterator[Event]:
    """Do a session's work; yield its events and the notices of its trackers.

    In a run of several processes, only the first one yields events.
    """
    if not session.main:
        deque(session.events(), maxlen=0)
        return
    listeners.start()
    try:
        for event in session.events():
            events = listeners.hear(event)
            if isinstance(event, RunFinished):
                session.store.clear()  # now that the end is recorded
            yield from events
    except TrainingStopped:
        yield from listeners.finish()
        raise
    finally:
        listeners.close()


class Listeners:
    """Records a run's events in its folder, then tells its trackers.

    Args:
        folder: The run's folder.
        config: Says which trackers there are.
        settings: The run's settings, as trackers show them.
        tracker: An additional tracker.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        settings: Mapping[str, Any],
        tracker: Tracker | None = None,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._messages: deque[str] = deque()  # trackers append to it from their threads
        self._trackers = open_trackers(config, self._messages.append)
        if tracker is not None:
            self._trackers.append(tracker)

    def start(self) -> None:
        self._tell("start", self._folder.path, self._settings)

    def hear(self, event: Event, *, record: bool = True) -> list[Event]:
        """Take in an event; return it with the trackers' notices; `RunFinished` comes last.

        Args:
            event: The event.
            record: Write it into the run's `events.jsonl`; False if it is there already.
        """
        if record:
            self._folder.record(event)
        self._tell("event", event)
        if isinstance(event, RunFinished):
            self.close()
            return [*self._notices(), event]
        notices = self._notices()
        for notice in notices:
            self._folder.record(notice)
        return [event, *notices]

    def finish(self) -> list[Event]:
        """Close the trackers; return the last events for the caller, which are not recorded.

        The last line of the record says that the run is finished.
        """
        self.close()
        return self._notices()

    def close(self) -> None:
        self._tell("finish")
        self._trackers = []

    def _tell(self, method: str, *arguments: Any) -> None:
        """Call a method of every tracker; drop one that fails."""
        for tracker in list(self._trackers):
            # No fault in a tracker may cost a training run.
            try:
                getattr(tracker, method)(*arguments)
            except Exception as error:
                name = type(tracker).__name__
                logger.exception("%s failed", name)
                failure = f"{name} failed and is now off: {type(error).__name__}: {error}"
                self._messages.append(failure)
                self._trackers.remove(tracker)

    def _notices(self) -> list[Event]:
        count = len(self._messages)
        return [Notice(message=self._messages.popleft()) for _ in range(count)]
