"""A file server on the loopback interface whose faults a test can script."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server has, how it misbehaves, and what it saw.

    Attributes:
        files: Content by path, without the leading slash.
        redirects: Where a path has moved to (a path, or an address elsewhere), with 302.
        failures: Statuses to answer with first, in turn, by path.
        headers: Further headers by path.
        ranges: Honour Range requests.
        etags: Send ETags.
        cut: Close the connection after so many bytes of a body, once for each entry.
        stall: Fall silent after so many bytes of a body, once for each entry.
        rate: Bytes a second, or None for as fast as possible.
        held: Paths whose bodies are not sent before their event is set.
        requests: Method, path and Range header of each request.
        sent: Body bytes sent, by path.
        tokens: Authorization header of each request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    ranges: bool = True
    etags: bool = True
    announce: bool = True
    cut: list[int] = field(default_factory=list)
    stall: list[int] = field(default_factory=list)
    rate: int | None = None
    held: dict[str, threading.Event] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    tokens: list[str | None] = field(default_factory=list)
    address: str = ""

    def gets(self, path: str) -> list[str | None]:
        """Return the Range headers of the GET requests for a path."""
        return [asked for method, p, asked in self.requests if (method, p) == ("GET", path)]


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Run the server on a free port; `served.address` is its address."""

    class Handler(_Handler):
        state = served

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: Served
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        state, path = self.state, self.path.lstrip("/")
        asked = self.headers.get("Range")
        state.requests.append((self.command, path, asked))
        state.tokens.append(self.headers.get("Authorization"))
        waiting = state.failures.get(path)
        if waiting and body:
            return self._status(waiting.pop(0))
        if path in state.redirects:
            target = state.redirects[path]
            place = target if "://" in target else f"/{target}"
            return self._status(302, {"Location": place, **state.headers.get(path, {})})
        if path not in state.files:
            return self._status(404)
        content = state.files[path]
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        start, status, headers = 0, 200, dict(state.headers.get(path, {}))
        if state.etags:
            headers["ETag"] = tag
        found = re.fullmatch(r"bytes=(\d+)-", asked or "")
        condition = self.headers.get("If-Range")
        if found and state.ranges and condition in (None, tag):
            start, status = int(found[1]), 206
            if start >= len(content):
                return self._status(416, {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if state.announce:
            headers["Content-Length"] = str(len(content) - start)
        else:
            headers["Connection"] = "close"
            self.close_connection = True
        self._status(status, headers)
        if body:
            self._send(path, content[start:])
        return None

    def _status(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = headers or {}
        if status >= 300:
            headers["Content-Length"] = "0"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, path: str, content: bytes) -> None:
        state = self.state
        if path in state.held:
            state.held[path].wait()
        limit = len(content)
        silence = False
        if state.cut and len(content) > state.cut[0]:
            limit = state.cut.pop(0)
            self.close_connection = True
        elif state.stall and len(content) > state.stall[0]:
            limit, silence = state.stall.pop(0), True
        step = 1 << 16 if state.rate is None else max(1, min(1 << 16, state.rate // 50))
        try:
            for start in range(0, limit, step):
                piece = content[start : min(start + step, limit)]
                self.wfile.write(piece)
                state.sent[path] = state.sent.get(path, 0) + len(piece)
                if state.rate is not None:
                    time.sleep(len(piece) / state.rate)
            if silence:
                self.wfile.flush()
                time.sleep(3)
                self.close_connection = True
        except OSError:
            self.close_connection = True
