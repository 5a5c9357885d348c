"""The open windows: each hears what the others do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

# More events for a window that does not read are dropped.
_MOST_WAITING = 1000
_SECONDS_BETWEEN_SIGNS = 15.0
_END = b""
_BYE = b"event: bye\ndata: {}\n\n"
# Comes first, so that the page knows that it is connected; browsers retry after 2 s.
_HELLO = b"retry: 2000\n: hello\n\n"
_SIGN_OF_LIFE = b": still here\n\n"


class Windows:
    """Sends events to the open windows. Used from the server's event loop only."""

    def __init__(self) -> None:
        self._queues: dict[asyncio.Queue[bytes], str] = {}
        self._closed = False

    async def listen(self, window: str) -> AsyncIterator[bytes]:
        """Yield the server-sent events for a window until the server ends."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._queues[queue] = window
        try:
            yield _HELLO
            if self._closed:
                yield _BYE
                return
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), _SECONDS_BETWEEN_SIGNS)
                except TimeoutError:
                    event = _SIGN_OF_LIFE  # without which a closed window is not noticed
                if event == _END:
                    yield _BYE
                    return
                yield event
        finally:
            del self._queues[queue]

    def tell_others(self, window: str, content: dict[str, Any]) -> None:
        """Send content to all windows but the one that caused it."""
        event = f"data: {json.dumps(content)}\n\n".encode()
        for queue, listening in self._queues.items():
            if listening != window and queue.qsize() < _MOST_WAITING:
                queue.put_nowait(event)

    def close(self) -> None:
        """Tell all windows that the server ends."""
        self._closed = True
        for queue in self._queues:
            queue.put_nowait(_END)
