"""HTTP servers in threads, for `capgen review` and `capgen serve`."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from typing import Any

from capgen.errors import UsageError

_BACKLOG = 1024


def listen(host: str, port: int, *, hint: str) -> socket.socket:
    """Return a socket that listens on an address.

    A name with several addresses, as `localhost` has, means its IPv4 address: that is what
    programs try that are told `127.0.0.1`.

    Args:
        host: The address, or a name.
        port: The port; 0 takes a free one.
        hint: What to do if the port cannot be had.

    Raises:
        UsageError: There is no such address here, or the port is taken or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: there is no such address") from error
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    # Only if the protocol is named, asyncio switches off Nagle's algorithm, which adds 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # where it would share the port with another program
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(f"--port {port} of {host}: {error.strerror}", hint=hint) from error
    return listening


class ServerThread:
    """A server in a thread, so that the main thread is free for signals.

    Args:
        app: The ASGI application.
        listening: The socket; the server closes it.
        name: The thread's name.
        **settings: Further settings of `uvicorn.Config`.
    """

    def __init__(self, app: Any, listening: socket.socket, name: str, **settings: Any) -> None:
        import uvicorn

        config = uvicorn.Config(
            app,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            **settings,
        )
        self._server = uvicorn.Server(config)
        self._socket = listening
        self._ready = threading.Event()
        # Not the thread itself: Python 3.11 takes it for ended once a signal interrupts `join`.
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._ready.wait()

    def wait(self) -> None:
        """Wait until the server ends, or a signal raises an exception here."""
        while not self._ended.wait(0.5):  # on Windows a signal does not end an endless wait
            pass

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._server.serve(sockets=[self._socket])
