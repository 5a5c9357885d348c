"""Who hears of a run's events: its record, its trackers and, through them, the caller."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from capgen.config import TrainConfig
from capgen.errors import TrainingStopped
from capgen.records import Event, Notice, RunFinished
from capgen.training.run.folder import RunFolder
from capgen.training.run.session import Session
from capgen.training.tracking import open_trackers
from capgen.training.tracking.base import Tracker

logger = logging.getLogger(__name__)
# Quiet unless the program asks for logs: what a user needs to know is in a notice.
logger.addHandler(logging.NullHandler())


class Audience(Protocol):
    """Who hears of a run's events."""

    def start(self) -> None:
        """The run begins or goes on."""
        ...

    def hear(self, event: Event) -> list[Event]:
        """Take in an event; return it with what else the caller should hear, in order."""
        ...

    def finish(self) -> list[Event]:
        """The run ends; return what the caller should hear last. A second call does nothing."""
        ...

    def close(self) -> None:
        """The run ends, and nobody listens any more. A second call does nothing."""
        ...


def run_to_end(session: Session, audience: Audience) -> Iterator[Event]:
    """Do a session's work and tell of it.

    Yields:
        The session's events and the notices of its trackers; in a run of several processes
        only in the first one.
    """
    if not session.main:
        deque(session.events(), maxlen=0)
        return
    audience.start()
    try:
        for event in session.events():
            heard = audience.hear(event)
            if isinstance(event, RunFinished):
                session.store.clear()  # it is recorded that nothing is left to go on with
            yield from heard
    except TrainingStopped:
        yield from audience.finish()
        raise
    finally:
        audience.close()


class Listeners:
    """Records a run's events in its folder, then tells its trackers.

    Args:
        folder: The run's folder.
        config: Says which trackers there are.
        settings: The run's settings as trackers show them.
        tracker: One more tracker.
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
        """Tell the trackers that the run begins or goes on."""
        self._tell("start", self._folder.path, self._settings)

    def hear(self, event: Event, *, record: bool = True) -> list[Event]:
        """Take in an event.

        Args:
            event: The event.
            record: Write it into the run's `events.jsonl`; False if it is there already.

        Returns:
            The event and notices of what the trackers have to say; `RunFinished` is the last.

        Raises:
            StorageError: It cannot be recorded.
        """
        if record:
            self._folder.record(event)
        self._tell("event", event)
        if isinstance(event, RunFinished):
            return [*self.finish(), event]
        notices = self._notices()
        for notice in notices:
            self._folder.record(notice)
        return [event, *notices]

    def finish(self) -> list[Event]:
        """Tell the trackers that the run is over; return what they have to say, unrecorded.

        The last recorded line is the one that says that the run is over.
        """
        self.close()
        return self._notices()

    def close(self) -> None:
        """Tell the trackers that the run is over."""
        self._tell("finish")
        self._trackers = []

    def _tell(self, method: str, *arguments: Any) -> None:
        """Call a method of every tracker; one that fails is left alone from then on."""
        for tracker in list(self._trackers):
            # Whatever goes wrong in somebody else's tracker must not cost a training run.
            try:
                getattr(tracker, method)(*arguments)
            except Exception as error:
                name = type(tracker).__name__
                logger.exception("%s failed", name)
                failure = f"{name} failed and is off from here: {type(error).__name__}: {error}"
                self._messages.append(failure)
                self._trackers.remove(tracker)

    def _notices(self) -> list[Event]:
        count = len(self._messages)
        return [Notice(message=self._messages.popleft()) for _ in range(count)]
