"""Passes a run's events on, and tells its trackers of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from capgen.config import TrainConfig
from capgen.errors import TrainingStopped
from capgen.records import Event, Notice, RunFinished
from capgen.training.run.folder import RunFolder
from capgen.training.tracking import open_trackers
from capgen.training.tracking.base import Tracker, Trackers


def followed(
    events: Iterable[Event],
    folder: RunFolder,
    config: TrainConfig,
    settings: Mapping[str, Any],
    tracker: Tracker | None = None,
) -> Iterator[Event]:
    """Tell the trackers of a run's events, which are recorded already.

    Args:
        events: The events.
        folder: The run's folder.
        config: Says which trackers there are.
        settings: The run's settings as trackers show them.
        tracker: One more tracker.

    Yields:
        The events, and in notices what trackers have to say; `RunFinished` stays the last.
    """
    heard: deque[str] = deque()
    trackers = Trackers([*open_trackers(config, heard.append), tracker], heard)
    trackers.start(folder.path, settings)
    try:
        for event in events:
            over = isinstance(event, RunFinished)
            trackers.event(event)
            if over:
                trackers.finish()
            else:
                yield event
            for message in trackers.news():
                notice = Notice(message=message)
                if not over:  # the last recorded line says that the run is over
                    folder.record(notice)
                yield notice
            if over:
                yield event
    except TrainingStopped:
        trackers.finish()
        yield from (Notice(message=message) for message in trackers.news())
        raise
    finally:
        trackers.finish()
