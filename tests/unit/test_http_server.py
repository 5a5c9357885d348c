"""Sockets that listen."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from capgen.errors import UsageError
from capgen.http_server import listen


def test_a_port_that_is_taken_and_a_name_that_there_is_not() -> None:
    with listen("127.0.0.1", 0, hint="") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port} of 127.0.0.1") as caught:
            listen("127.0.0.1", port, hint="Take another.")
    assert caught.value.hint == "Take another."
    with pytest.raises(UsageError, match="no such address"):
        listen("a..b", 0, hint="")


def test_localhost_means_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: Any, **__: Any) -> list[Any]:
        stream = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        six = (socket.AF_INET6, *stream, ("::1", 0, 0, 0))
        return [six, (socket.AF_INET, *stream, ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with listen("localhost", 0, hint="") as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
