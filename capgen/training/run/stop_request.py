"""Stopping on request: a signal is noted, and training stops where its state can be saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from capgen.ending_signals import ending_signals


class StopRequest:
    """Whether someone wants training to stop.

    Attributes:
        signal: Number of the signal that asked, or 0.
        patient: A first signal is only noted, since there is something to save. Otherwise,
            and the second time, it interrupts at once.
        told: Called when a signal was noted.
    """

    def __init__(self, told: Callable[[], None] | None = None) -> None:
        self.told = told
        self.signal = 0
        self.patient = False

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Take in a signal.

        Raises:
            KeyboardInterrupt: For SIGINT that cannot wait.
            SystemExit: For another signal that cannot wait.
        """
        if self.patient and not self.signal:
            self.signal = number
            if self.told is not None:
                self.told()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)


@contextmanager
def stop_signals(told: Callable[[], None] | None = None) -> Iterator[StopRequest]:
    """Note SIGINT, SIGTERM and SIGHUP while the block runs, instead of dying of them.

    For the main thread of a program.

    Args:
        told: Called, from the signal's handler, when one was noted.
    """
    request = StopRequest(told)
    signals = (signal.SIGINT, *ending_signals())
    previous = {number: signal.signal(number, request.note) for number in signals}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
