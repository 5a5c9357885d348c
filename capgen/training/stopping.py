"""Stopping on request: a signal is noted, and training stops where its state can be saved."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether someone wants training to stop.

    Attributes:
        signal: Number of the signal that asked, or 0.
        patient: A first signal is only noted, since there is something to save. Otherwise,
            and the second time, it interrupts at once.
    """

    def __init__(self) -> None:
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
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM while the block runs, instead of dying of them.

    For the main thread of a program.
    """
    request = StopRequest()
    previous = {number: signal.signal(number, request.note) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
