"""A connection from each process of a run to process 0, for `Watch`.

Process 0 listens on a port that the system chooses. Whoever connects has to know a secret that
the processes share; the addresses of process 0's machine are tried one after the other.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

_SECONDS = 5.0
_WELCOME = b"welcome\n"
_LOCAL = "127.0.0.1"


def connect(
    rank: int, count: int, gather: Callable[[Any], list[Any]], *, same_machine: bool
) -> dict[int, socket.socket]:
    """Return this process's connections: those to all others in process 0, else that to it.

    A process that cannot connect has none, and is not watched.

    Args:
        rank: This process.
        count: How many there are.
        gather: Returns what each process gives, by rank.
        same_machine: This process is on the machine of process 0.
    """
    if rank == 0:
        return _accept_all(count, gather)
    port, secret, hosts = gather(None)[0]
    hosts = [_LOCAL, *hosts] if same_machine else hosts
    found = _reach(hosts, port, f"{secret} {rank}\n".encode())
    gather(found is not None)
    return {} if found is None else {0: found}


def _accept_all(count: int, gather: Callable[[Any], list[Any]]) -> dict[int, socket.socket]:
    secret = secrets.token_hex(16)
    found: dict[int, socket.socket] = {}
    with _server(count) as server:
        thread = threading.Thread(target=_accept, args=(server, secret, found), daemon=True)
        thread.start()
        gather((server.getsockname()[1], secret, _addresses()))
        gather(True)  # by now all have connected, or given up
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # ends `accept`
    thread.join()
    return found


def _server(count: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", 0), family=socket.AF_INET6, backlog=count, dualstack_ipv6=True
        )
    return socket.create_server(("", 0), backlog=count)


def _accept(server: socket.socket, secret: str, found: dict[int, socket.socket]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # it is closed
            return
        connection.settimeout(_SECONDS)
        try:
            given, _, rank = connection.recv(64).decode("ascii").strip().partition(" ")
            if not secrets.compare_digest(given, secret):
                raise ValueError("a stranger")
            connection.sendall(_WELCOME)
            found[int(rank)] = connection
        except (OSError, ValueError):
            connection.close()


def _reach(hosts: Sequence[str], port: int, greeting: bytes) -> socket.socket | None:
    for host in hosts:
        connection = None
        try:
            connection = socket.create_connection((host, port), timeout=_SECONDS)
            connection.sendall(greeting)
            if connection.recv(len(_WELCOME)) == _WELCOME:
                return connection
        except OSError:
            pass  # the next address
        if connection is not None:
            connection.close()
    return None


def _addresses() -> list[str]:
    """Return the names and addresses by which other machines may reach this one."""
    master = os.environ.get("MASTER_ADDR", "")
    found = [master, socket.getfqdn(), socket.gethostname()]
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((master, 9))  # sends nothing: the system only chooses the interface
        found.append(probe.getsockname()[0])
    return [address for address in dict.fromkeys(found) if address]
