"""Stopping on request: a signal is noted, and training stops where its state can be saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from capgen.ending_signals import ending_signals


class StopRequest:
    """Whether the user wants training to stop.

    Args:
        noted: Called when a signal was noted.

    Attributes:
        signal: Number of the signal, or 0.
        patient: Only note the first signal, since there is a state to save. Otherwise, and for
            the second signal, interrupt at once.
    """

    def __init__(self, noted: Callable[[], None] | None = None) -> None:
        self.noted = noted
        self.signal = 0
        self.patient = False

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal.

        Raises:
            KeyboardInterrupt: For a SIGINT that cannot wait.
            SystemExit: For another signal that cannot wait.
        """
        if self.patient and not self.signal:
            self.signal = number
            if self.noted is not None:
                self.noted()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)


@contextmanager
def stop_signals(noted: Callable[[], None] | None = None) -> Iterator[StopRequest]:
    """Note SIGINT, SIGTERM and SIGHUP while the block runs, instead of dying of them.

    For the main thread of a program.

    Args:
        noted: Called, from the signal's handler, when one was noted.
    """
    request = StopRequest(noted)
    signals = (signal.SIGINT, *ending_signals())
    previous = {number: signal.signal(number, request.note) for number in signals}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
