"""An S3 server on the loopback interface (moto's), whose requests a test lets fail or wait.

As a program it prints its address: `python -m tests.s3_server`.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEY, SECRET = "test-key", "test-secret-that-nobody-may-see"
_XML = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message>'
    "</Error>"
)
_STATUS = {"SlowDown": "503 Slow Down", "InternalError": "500 Internal Server Error"}


@dataclass
class Faults:
    """What becomes of requests.

    Attributes:
        share: Share of requests that fail: SlowDown, InternalError, a reset connection in turn.
        slow: Seconds that each request waits.
        hang: Requests whose path has this text wait until `released`.
        each: Is called with each request (method, path with query); text it returns is the code
            that is answered.
    """

    share: float = 0.0
    slow: float = 0.0
    hang: str | None = None
    each: Callable[[str, str], str | None] = lambda method, path: None


@dataclass
class S3Server:
    """A running server.

    Attributes:
        address: Its address.
        faults: What becomes of requests from now on.
        requests: Number of requests, by method.
        failed: Number of those that were made to fail.
        busy: Most requests at one time.
        hanging: Set while a request hangs.
        released: Lets requests that hang go on.
    """

    address: str = ""
    faults: Faults = field(default_factory=Faults)
    requests: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    busy: int = 0
    hanging: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that lead a client here."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def fill(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Make a bucket with these objects."""
        client = self.client()
        client.create_bucket(Bucket=bucket)
        for key, data in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=data)

    def content(self, bucket: str, key: str) -> bytes:
        body: bytes = self.client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def names(self, bucket: str) -> list[str]:
        found = self.client().list_objects_v2(Bucket=bucket)
        return [item["Key"] for item in found.get("Contents", [])]


class _Unreliable:
    """Puts the faults of a server before its application."""

    def __init__(self, application: Any, server: S3Server) -> None:
        self._application, self._server = application, server
        self._random = random.Random(7)
        self._lock = threading.Lock()
        self._now = 0

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        server, faults = self._server, self._server.faults
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self._now += 1
            server.busy = max(server.busy, self._now)
            server.requests[method] += 1
            fails = self._random.random() < faults.share
            server.failed += fails
            kind = server.failed % 3 if fails else -1
        try:
            time.sleep(faults.slow)
            if faults.hang is not None and faults.hang in path:
                server.hanging.set()
                server.released.wait()
            code = faults.each(method, f"{path}?{environ['QUERY_STRING']}")
            if code is None and kind == 2:
                return _reset(environ)
            code = code or {0: "SlowDown", 1: "InternalError"}.get(kind)
            if code is not None:
                start(_STATUS.get(code, "403 Forbidden"), [("Content-Type", "application/xml")])
                return [] if method == "HEAD" else [_XML.format(code=code).encode()]
            return list(self._application(environ, start))
        finally:
            with self._lock:
                self._now -= 1


def _reset(environ: dict[str, Any]) -> Iterable[bytes]:
    """Break the connection as a router does: no answer, and it is closed."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *details: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[S3Server]:
    """Run a server while the block runs."""
    state = S3Server()
    application = _Unreliable(DomainDispatcherApplication(create_backend_app), state)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True  # type: ignore[attr-defined]
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def running_s3_server() -> Iterator[S3Server]:
    with serving() as server:
        yield server


@pytest.fixture
def s3_server(running_s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Return an empty S3 server without faults; the environment leads there."""
    from moto.s3.models import s3_backends

    from capgen.storage.drivers import forget_stores

    server = running_s3_server
    s3_backends.reset()
    server.faults = Faults()
    server.requests.clear()
    server.failed = server.busy = 0
    server.hanging.clear()
    server.released.clear()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    forget_stores()
    yield server
    server.released.set()
    forget_stores()


def main() -> None:
    """Serve until stdin ends. A line there, `SHARE SLOW`, sets the faults from then on."""
    with serving() as server:
        print(server.address, flush=True)
        for line in sys.stdin:
            share, slow = map(float, line.split())
            server.faults = Faults(share=share, slow=slow)
            print(f"{server.failed} requests failed, {server.busy} at a time", flush=True)


if __name__ == "__main__":
    main()
