"""Sockets that listen, for the servers of `capgen review` and `capgen serve`."""

from __future__ import annotations

import socket
import sys

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
