"""Runs the application, within limits of time for what clients send."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import wait
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from capgen.config import ServeOptions
from capgen.http_server import ServerThread
from capgen.service.activity import Activity

# How long the head of a request may take, and a connection may wait for its next request.
_SECONDS_FOR_HEAD = 15
_SECONDS_IDLE = 60
_SECONDS_TO_CLOSE = 1


class _Protocol(H11Protocol):
    """HTTP on one connection, which is closed if the head of a request does not come in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_between():
            self._unwatch()
        elif self._timer is None:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _is_between(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        self._timer = self.loop.call_later(_SECONDS_FOR_HEAD, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._is_between() and not self.transport.is_closing():
            self.transport.close()


class Server(ServerThread):
    """The server of the service.

    Args:
        app: The application.
        listening: The socket; the server closes it.
        options: Connections, and how long requests in progress have at the end.
    """

    def __init__(self, app: Activity, listening: socket.socket, options: ServeOptions) -> None:
        super().__init__(
            *(app, listening, "capgen-serve"),
            http=_Protocol,
            backlog=1024,
            limit_concurrency=options.connections,
            timeout_keep_alive=_SECONDS_IDLE,
            timeout_graceful_shutdown=_SECONDS_TO_CLOSE,
        )
        self._app = app
        self._seconds = options.seconds_to_stop

    def stop(self) -> bool:
        """Take no more work, let requests in progress end; return whether all did in time."""
        if self._ended.is_set():
            return True
        done = asyncio.run_coroutine_threadsafe(self._app.finish(self._seconds), self._loop)
        while not done.done():
            wait((done,), 0.5)  # on Windows a signal does not end an endless wait
        self._server.should_exit = True
        self.wait()
        return done.result()

    def end_at_once(self) -> None:
        """End whatever is in progress."""
        self._server.should_exit = self._server.force_exit = True
