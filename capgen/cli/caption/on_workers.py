"""How `capgen caption` shows what becomes of its workers."""

from __future__ import annotations

from capgen.cli.caption.progress import BatchScreen
from capgen.cli.console import Console
from capgen.distributed.schedule_events import PartFailures, PartRetried, Workers, WorkersAwaited


def show_workers(
    console: Console,
    screen: BatchScreen,
    event: PartFailures | PartRetried | Workers | WorkersAwaited,
) -> None:
    """Show an event of workers."""
    if isinstance(event, PartFailures):
        for failure in event.failures:
            screen.failure(failure)
        if event.more:
            console.note(f"part {event.number}: {event.more:,} further failures")
    elif isinstance(event, PartRetried):
        console.note(f"part {event.number} {_HOW[event.how]}: {event.reason}")
    elif isinstance(event, WorkersAwaited):
        console.note(
            f"no worker is ready after {event.seconds:.0f} s: "
            + (f"{event.starting} are starting, or there is no room for them")
        )
    else:
        for note in event.notes:
            console.note(note)
        if event.lost:
            console.note(f"a worker is lost ({event.lost}); {event.ready} are left")


_HOW = {
    "again": "is captioned again",
    "in pieces": "is captioned in pieces",
    "copy": "is captioned a second time",
}
