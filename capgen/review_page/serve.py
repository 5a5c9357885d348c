"""Runs the application on the loopback interface, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from capgen import listening
from capgen.errors import UsageError
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
    return listening.listen(HOST, port, hint="Leave out --port to take a free one.")


class Server:
    """A server in a thread, so that the main thread is free for signals.

    Args:
        app: The application.
        windows: The open windows, which are told when it ends.
        listening: The socket; the server closes it.
    """

    def __init__(self, app: ASGIApp, windows: Windows, listening: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SECONDS_TO_END,
        )
        self._server = uvicorn.Server(config)
        self._windows = windows
        self._socket = listening
        self._ready = threading.Event()
        # Not the thread itself: Python 3.11 takes it for ended once a signal interrupts `join`.
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="review server", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until the server ends, or a signal raises an exception here."""
        while not self._ended.wait(0.5):  # on Windows a signal does not end an endless wait
            pass

    def stop(self) -> None:
        """Tell all windows, let answers in progress end, and end."""
        self._ready.wait()
        self._server.should_exit = True
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._windows.close)
        self._ended.wait()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._server.serve(sockets=[self._socket])
