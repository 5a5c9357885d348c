"""How fast a server is asked: requests and tokens per minute, and the pauses that it asks for."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

_MINUTE = 60.0
# Of a request, until the first answer tells: an image in the prompt and a sentence.
_FIRST_GUESS = 1000.0


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that was let through: when, and how many tokens it takes or took."""

    time: float
    tokens: float


class Pace:
    """Lets requests through, within limits over any minute. Thread-safe.

    Args:
        requests: Most requests per minute, or None.
        tokens: Most tokens per minute, or None. What a request will take is estimated by the
            mean of those before it.
    """

    def __init__(self, requests: int | None = None, tokens: int | None = None) -> None:
        self._requests = requests
        self._tokens = tokens
        self._lock = threading.Lock()
        self._window: deque[Ticket] = deque()
        self._resume = 0.0
        self._answers = 0
        self._counted = 0.0

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long: the server asked for it."""
        with self._lock:
            self._resume = max(self._resume, time.monotonic() + seconds)

    def wait(self, stop: threading.Event) -> Ticket | None:
        """Wait until a request may be sent; return None if `stop` is set first."""
        while not stop.is_set():
            with self._lock:
                now = time.monotonic()
                delay = self._delay(now)
                if delay <= 0:
                    ticket = Ticket(now, self._estimate)
                    self._window.append(ticket)
                    return ticket
            stop.wait(delay)
        return None

    def answered(self, ticket: Ticket, tokens: int) -> None:
        """Note how many tokens a request took."""
        with self._lock:
            ticket.tokens = tokens
            self._answers += 1
            self._counted += tokens

    @property
    def _estimate(self) -> float:
        return self._counted / self._answers if self._answers else _FIRST_GUESS

    def _delay(self, now: float) -> float:
        """Return the seconds until a request may be sent, as far as is known now."""
        while self._window and self._window[0].time <= now - _MINUTE:
            self._window.popleft()
        waits = [self._resume - now]
        if self._requests is not None and len(self._window) >= self._requests:
            waits.append(self._window[-self._requests].time + _MINUTE - now)
        if self._tokens is not None and self._window:
            # A single request may take more than the limit: it then goes alone.
            held = sum(ticket.tokens for ticket in self._window)
            if held + self._estimate > self._tokens:
                waits.append(self._window[0].time + _MINUTE - now)
        return max(waits)
