"""Which requests are in progress: counted, timed, logged, and refused once the service stops."""

from __future__ import annotations

import asyncio
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capgen.service.answers import error_answer
from capgen.service.measures import Measures

logger = logging.getLogger("capgen.service")
_ROUTES = ("/v1/captions", "/v1/chat/completions", "/v1/models", "/healthz", "/metrics")
# For the log, as nginx has it.
_UNANSWERED = 499
# These are answered until the end.
_ALWAYS = ("/healthz", "/metrics")


class Activity:
    """Middleware that knows which requests are in progress. Belongs to one event loop.

    Args:
        app: The application.
        measures: Counts requests.

    Attributes:
        stopping: Whether the service takes no more work.
    """

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count it."""
        if scope["type"] != "http":
            return
        path, begun, status = scope["path"], time.monotonic(), _UNANSWERED

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        app: ASGIApp = self._app
        if self.stopping and path not in _ALWAYS:
            headers = {"Connection": "close", "Retry-After": "1"}
            app = error_answer(503, "The service is stopping", code="stopping", headers=headers)
        self._running += 1
        self._measures.running(self._running)
        self._idle.clear()
        try:
            await app(scope, receive, send_noted)
        except asyncio.CancelledError:  # its time to end is over
            if status == _UNANSWERED:
                answer = error_answer(503, "The service has stopped", code="stopping")
                await answer(scope, receive, send_noted)
        finally:
            self._running -= 1
            self._measures.running(self._running)
            if not self._running:
                self._idle.set()
            seconds = time.monotonic() - begun
            self._measures.answered(path if path in _ROUTES else "other", status, seconds)
            # Without the query, which may hold a prompt; quoted, since a path may hold anything.
            client = (scope.get("client") or ("-",))[0]
            level = logging.DEBUG if path in _ALWAYS else logging.INFO
            took = seconds * 1000
            logger.log(
                level, "%s %s %r %d %.0f ms", client, scope["method"], path[:200], status, took
            )

    async def finish(self, seconds: float) -> bool:
        """Take no more work; return whether all requests in progress ended in time."""
        self.stopping = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
