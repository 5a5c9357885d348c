"""One exchange with a model server: bounded in time and size, over connections that are kept.

Built on http.client. The environment's proxy is used for https only, so that the server's
certificate is checked end to end; `no_proxy` is honoured.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import capgen
from capgen.captioning.endpoint.address import Address
from capgen.errors import EndpointError, NetworkError

# The largest answer that is read: a thousand times what a caption takes.
MOST_BYTES = 16 << 20
_CONNECT_SECONDS = 10.0
_BLOCK = 1 << 16
_REDIRECTS = 3
_MOVED = (301, 302, 307, 308)


class BrokenExchangeError(Exception):
    """An exchange broke, which may pass. Never leaves the endpoint package.

    Args:
        message: What happened, in a few words.
        connected: Whether there was a connection.
        unanswered: Whether the connection ended before an answer began.
    """

    def __init__(self, message: str, *, connected: bool, unanswered: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.connected = connected
        self.unanswered = unanswered


class AnswerTooLargeError(Exception):
    """An answer is larger than `MOST_BYTES`. Never leaves the endpoint package."""


@dataclass(frozen=True)
class Response:
    """What a server answered."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or None if it is not."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass
class Connections:
    """Connections to one server. Thread-safe.

    Attributes:
        address: The server.
        timeout: Seconds that an exchange may take.
    """

    address: Address
    timeout: float
    _idle: deque[http.client.HTTPConnection] = field(default_factory=deque)

    def exchange(self, method: str, path: str, content: bytes | None = None) -> Response:
        """Send a request and read the whole answer; follow redirects within the server.

        Raises:
            BrokenExchangeError: The server cannot be reached, is silent, or sent half an answer.
            AnswerTooLargeError: The answer is too large.
            NetworkError: The certificate is not valid.
            EndpointError: The server redirects elsewhere, or the key must not be sent.
        """
        path = self.address.path + path
        deadline = time.monotonic() + self.timeout
        for _ in range(_REDIRECTS + 1):
            response = self._over_a_connection(method, path, content, deadline)
            moved = str(response.headers.get("Location") or "")
            if response.status not in _MOVED or not moved:
                return response
            path = self._within(path, moved)
        raise EndpointError(f"{self.address.shown} redirects in circles")

    def _within(self, path: str, moved: str) -> str:
        """Return the path of a redirect; neither images nor the key go to another host."""
        here = self.address
        scheme, default = ("https", 443) if here.secure else ("http", 80)
        host = f"[{here.host}]" if ":" in here.host else here.host
        try:
            parts = urlsplit(urljoin(f"{scheme}://{host}:{here.port}{path}", moved))
            origin = (parts.scheme == "https", parts.hostname, parts.port or default)
        except ValueError:
            origin = None
        if origin != here.origin:
            netloc = parts.netloc.rpartition("@")[2]
            place = f"{parts.scheme}://{netloc}" if origin else "an invalid address"
            raise EndpointError(
                f"{here.shown} redirects to {place}: nothing is sent there",
                hint="If you trust it, give that address with --endpoint.",
            )
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def _over_a_connection(
        self, method: str, path: str, content: bytes | None, deadline: float
    ) -> Response:
        with contextlib.suppress(IndexError):
            kept = self._idle.pop()
            try:
                return self._once(kept, method, path, content, deadline)
            except BrokenExchangeError as error:
                # Servers close connections that were idle: that says nothing about this request.
                if not error.unanswered or time.monotonic() >= deadline:
                    raise
        return self._once(self._connect(deadline), method, path, content, deadline)

    def _once(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        content: bytes | None,
        deadline: float,
    ) -> Response:
        # The socket's own timeout restarts with every byte; this one does not.
        alarm = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, [connection.sock])
        alarm.daemon = True
        alarm.start()
        answer, kept = None, False
        try:
            connection.request(method, path, content, self._headers())
            answer = connection.getresponse()
            response = Response(answer.status, answer.headers, _body(answer))
            kept = not answer.will_close
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = isinstance(error, TimeoutError) or time.monotonic() >= deadline
            reason = f"no answer within {self.timeout:g} seconds" if late else _reason(error)
            unanswered = answer is None and isinstance(error, ConnectionError)
            raise BrokenExchangeError(reason, connected=True, unanswered=unanswered) from error
        finally:
            alarm.cancel()
            if kept:
                self._idle.append(connection)
            else:
                connection.close()
        return response

    def _headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"capgen/{capgen.__version__}",
        }
        if self.address.authorization:
            headers["Authorization"] = self.address.authorization
        return headers

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        address, left = self.address, deadline - time.monotonic()
        connection = _connection(address)
        connection.timeout = max(0.1, min(_CONNECT_SECONDS, left))
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise NetworkError(
                f"{address.shown}: the server's certificate is not valid ({_reason(error)})"
            ) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise BrokenExchangeError(_reason(error), connected=False) from error
        try:
            address.check_key(str(connection.sock.getpeername()[0]))
        except EndpointError:
            connection.close()
            raise
        connection.sock.settimeout(max(0.1, left))
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def _connection(address: Address) -> http.client.HTTPConnection:
    if not address.secure:
        return http.client.HTTPConnection(address.host, address.port)
    context = ssl.create_default_context()
    proxy = urllib.request.getproxies().get("https", "")
    if not proxy or urllib.request.proxy_bypass(f"{address.host}:{address.port}"):
        return http.client.HTTPSConnection(address.host, address.port, context=context)
    parts = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or 8080, context=context
    )
    headers = {}
    if parts.username is not None:
        plain = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(plain.encode()).decode()}"
    connection.set_tunnel(address.host, address.port, headers)
    return connection


def _cut(stream: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed already
        stream.shutdown(socket.SHUT_RDWR)


def _body(answer: http.client.HTTPResponse) -> bytes:
    if (answer.length or 0) > MOST_BYTES:
        raise AnswerTooLargeError
    blocks, size = [], 0
    while block := answer.read1(_BLOCK):
        size += len(block)
        if size > MOST_BYTES:
            raise AnswerTooLargeError
        blocks.append(block)
    if answer.length:  # the server announced more than it sent
        raise http.client.IncompleteRead(b"", answer.length)
    answer.close()  # read1 leaves it open, and the connection could not be used again
    return b"".join(blocks)


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "half an answer"
    if isinstance(error, http.client.RemoteDisconnected):
        return "closed the connection without an answer"
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return " ".join(text.split())
