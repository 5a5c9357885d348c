"""Notices when a process of a run ends, however it ends, and tells the others.

Each process holds a connection to process 0 (see `connections`). The system closes it with the
process, and its keepalive probes close it if a machine vanishes. Nothing waits for an answer from
Python, so that a process that is merely busy is not taken for dead.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

# How a process ended: killed or vanished; failed, with a message of its own; in good order.
DIED, FAILED, LEFT = "died", "failed", "left"
# Seconds until a machine that does not answer is given up: probes after some time, their interval
# and number.
_KEEPALIVE = {
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPALIVE": 10,  # the same on macOS
    "TCP_KEEPINTVL": 4,
    "TCP_KEEPCNT": 3,
}
# Seconds that this process has to notice the end of another by itself.
_PATIENCE = 22.0


@dataclass(frozen=True)
class End:
    """The end of a process: its rank, and how it ended (`DIED`, `FAILED` or `LEFT`)."""

    rank: int
    how: str


class Watch:
    """Watches the other processes, in a thread.

    Args:
        rank: This process.
        peers: The connection to each other process: in process 0 those to all others, in the
            others the one to process 0.
        patience: Seconds until this process is ended if it hangs when another has ended.

    Attributes:
        lost: The first other process that has ended.
        noticed: This process knows, and ends by itself.
    """

    def __init__(
        self, rank: int, peers: Mapping[int, socket.socket], *, patience: float = _PATIENCE
    ) -> None:
        self.rank = rank
        self.lost: End | None = None
        self.noticed = False
        self._patience = patience
        self._peers = dict(peers)
        self._known = threading.Event()
        self._waker, self._woken = socket.socketpair()
        for connection in self._peers.values():
            _keep_alive(connection)
        self._thread = threading.Thread(target=self._watch, name="capgen-watch", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> End | None:
        """Return the end of another process; wait for the news if there are none yet."""
        self._known.wait(seconds)
        return self.lost

    def leave(self, how: str) -> None:
        """Tell the others that this process ends, and stop watching."""
        self.noticed = True
        self._waker.close()
        self._thread.join()
        self._woken.close()
        for connection in self._peers.values():
            _tell(connection, End(self.rank, how))
            connection.close()

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for rank, connection in self._peers.items():
                selector.register(connection, selectors.EVENT_READ, rank)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    selector.unregister(key.fileobj)
                    self._take(_told(self._peers[key.data]) or End(key.data, DIED))

    def _take(self, end: End) -> None:
        if self.lost is not None:
            return
        self.lost = end
        self._known.set()
        for rank, connection in self._peers.items():
            if self.rank == 0 and rank != end.rank:
                _tell(connection, end)
        if end.how != LEFT:
            timer = threading.Timer(self._patience, self._end_hanging, (end,))
            timer.daemon = True
            timer.start()

    def _end_hanging(self, end: End) -> None:
        """End this process if its main thread hangs, as in a collective operation on GPUs."""
        if not self.noticed:
            # The main thread does not come back, so nobody else can tell.
            sys.stderr.write(
                f"error: Process {end.rank} of the run has ended, and process {self.rank} hangs\n"
                "hint: Continue with --resume, with the same launcher.\n"
            )
            sys.stderr.flush()
            os._exit(1)


def _tell(connection: socket.socket, end: End) -> None:
    with suppress(OSError):  # it may have ended, too
        connection.sendall(f"{end.rank} {end.how}\n".encode())


def _told(connection: socket.socket) -> End | None:
    """Return what the other side says; None if it was cut off."""
    try:
        rank, _, how = connection.recv(64).decode("ascii").partition("\n")[0].partition(" ")
        return End(int(rank), how)
    except (OSError, ValueError):
        return None


def _keep_alive(connection: socket.socket) -> None:
    """Let the system ask whether the other machine is still there."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
