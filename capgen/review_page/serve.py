"""Runs the application on the loopback interface, in a thread of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress

from starlette.types import ASGIApp

from capgen import http_server
from capgen.errors import UsageError
from capgen.http_server import ServerThread
from capgen.review_page.windows import Windows

HOST = "127.0.0.1"
# How long answers in progress may take once the server is told to end.
_SECONDS_TO_END = 3


def listen(port: int, preferred: Iterable[int] = ()) -> socket.socket:
    """Return a socket that listens on the loopback interface.

    Args:
        port: The port; 0 for a preferred one, or any that is free.
        preferred: Ports to try in turn.

    Raises:
        UsageError: The port is taken, or not allowed.
    """
    for wanted in () if port else preferred:
        with suppress(UsageError):
            return _listen(wanted)
    return _listen(port)


def _listen(port: int) -> socket.socket:
    return http_server.listen(HOST, port, hint="Leave out --port to take a free one.")


class Server(ServerThread):
    """The server of the page.

    Args:
        app: The application.
        windows: The open windows, which are told when it ends.
        listening: The socket; the server closes it.
    """

    def __init__(self, app: ASGIApp, windows: Windows, listening: socket.socket) -> None:
        seconds = _SECONDS_TO_END
        super().__init__(
            app, listening, "review server", http="h11", timeout_graceful_shutdown=seconds
        )
        self._windows = windows

    def stop(self) -> None:
        """Tell all windows, let answers in progress end, and end."""
        self._server.should_exit = True
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._windows.close)
        self.wait()
