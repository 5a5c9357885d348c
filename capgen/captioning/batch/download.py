"""Downloading an image over HTTP within limits, and only from public addresses.

A host name is resolved once, all of its addresses are checked, and the connection goes to a
checked address: a name that resolves differently a moment later (DNS rebinding) gains nothing.
Each redirect is checked, too. Proxies of the environment are not used.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import time
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from capgen.addresses import without_credentials
from capgen.captioning.abandoning import unless_stopped
from capgen.captioning.public_addresses import is_public
from capgen.config import DownloadLimits
from capgen.errors import ImageError
from capgen.images.decoders import printable

DEFAULT_LIMITS = DownloadLimits()
_REDIRECTS = (301, 302, 303, 307, 308)
_BLOCK = 1 << 16
_HEADERS = {"User-Agent": "capgen", "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}


def fetch(
    url: str,
    *,
    max_bytes: int,
    allow_private: bool = False,
    limits: DownloadLimits = DEFAULT_LIMITS,
) -> bytes:
    """Download an `http` or `https` address.

    Args:
        url: The address. A user and password in it are sent to its host (HTTP Basic
            authentication), never to another host after a redirect.
        max_bytes: Largest image, if `limits` allows as much.
        allow_private: Also connect to private, loopback and other special addresses.
        limits: Time, redirects and size.

    Raises:
        ImageError: With code `download`, `refused_address` or `too_large`.
    """
    deadline = time.monotonic() + limits.seconds
    largest = min(max_bytes, limits.max_bytes)
    address, url = url, printable(without_credentials(url))
    for _ in range(limits.redirects + 1):
        try:
            content = _get(address, url, deadline, allow_private, largest)
            if isinstance(content, bytes):
                return content
            address = urljoin(address, content)
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = isinstance(error, TimeoutError) or time.monotonic() >= deadline
            # What urllib says of an invalid address quotes it, credentials included.
            invalid = "not a valid address" if isinstance(error, ValueError) else str(error)
            reason = "took too long" if late else printable(invalid)
            text = f"{url}: cannot be downloaded ({reason or type(error).__name__})"
            raise ImageError(text, code="download") from error
    raise ImageError(f"{url}: more than {limits.redirects} redirects", code="download")


def fetch_unless(
    stop: threading.Event, url: str, *, max_bytes: int, allow_private: bool = False
) -> bytes:
    """`fetch` in a thread of its own, which is abandoned once `stop` is set.

    Resolving a name and connecting cannot be interrupted: Ctrl-C would wait for a slow server.
    """
    return unless_stopped(
        stop,
        lambda: fetch(url, max_bytes=max_bytes, allow_private=allow_private),
        cancelled=ImageError(f"{url}: the download was cancelled", code="download"),
        thread="capgen-fetch",
    )


def _get(address: str, url: str, deadline: float, allow_private: bool, largest: int) -> bytes | str:
    """Return the content, or the address of a redirect."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        place = printable(without_credentials(address))
        raise ImageError(f"{url}: redirects to {place}", code="download")
    connection = _connect(parts, url, deadline, allow_private)
    # The socket's own timeout restarts with every byte; this one does not.
    alarm = threading.Timer(_left(deadline), _cut, [connection.sock])
    alarm.daemon = True
    alarm.start()
    try:
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?") if parts.query else ""
        connection.request("GET", path + query, headers=_HEADERS | _authorization(parts))
        response = connection.getresponse()
        if response.status in _REDIRECTS and response.headers.get("Location"):
            return str(response.headers["Location"])
        if response.status != 200:
            text = f"{url}: the server answered {response.status}"
            raise ImageError(text, code="download")
        return _body(response, url, deadline, largest)
    finally:
        alarm.cancel()
        connection.close()


def _authorization(parts: SplitResult) -> dict[str, str]:
    """Return the header that sends an address's user and password, if it has them."""
    if parts.username is None:
        return {}
    plain = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(plain.encode()).decode('ascii')}"}


def _cut(stream: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed already
        stream.shutdown(socket.SHUT_RDWR)


def _connect(
    parts: SplitResult, url: str, deadline: float, allow_private: bool
) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    for address in [] if allow_private else addresses:
        if not is_public(address):
            raise ImageError(
                f"{url}: {host} is a private or special address"
                + (f" ({address})" if address != host else ""),
                code="refused_address",
                hint="If you trust the list, use --allow-private-addresses.",
            )
    connection = http.client.HTTPConnection(host, port)
    stream = _open(addresses, port, deadline)
    try:
        if secure:
            stream = ssl.create_default_context().wrap_socket(stream, server_hostname=host)
    except OSError:
        stream.close()
        raise
    connection.sock = stream
    return connection


def _open(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """Connect to the first address that answers."""
    for number, address in enumerate(addresses, 1):
        try:
            return socket.create_connection((address, port), timeout=_left(deadline))
        except OSError:
            if number == len(addresses):
                raise
    raise OSError("the name has no address")


def _body(response: http.client.HTTPResponse, url: str, deadline: float, largest: int) -> bytes:
    blocks, size = [], 0
    while True:
        block = response.read1(_BLOCK)
        _left(deadline)  # the alarm looks like the end of the content
        if not block:
            break
        size += len(block)
        if size > largest:
            text = f"{url}: larger than the limit of {largest:,} bytes"
            raise ImageError(text, code="too_large")
        blocks.append(block)
    if response.length:  # the server announced more than it sent
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(blocks)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("took too long")
    return left
