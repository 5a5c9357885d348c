"""Fetching images: limits, redirects, and addresses that are nobody's business."""

from __future__ import annotations

import base64
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest

from capgen.captioning.batch import download
from capgen.captioning.batch.download import fetch, fetch_unless
from capgen.captioning.public_addresses import is_public
from capgen.config import DownloadLimits
from capgen.errors import ImageError

IMAGE = b"\xff\xd8\xff image"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", unquote(self.path[4:]))
            self.end_headers()
        elif self.path == "/private":
            sent = self.headers.get("Authorization", "")
            allowed = sent == "Basic " + base64.b64encode(b"me:p@ss").decode()
            self.send_response(200 if allowed else 401)
            self.end_headers()
            self.wfile.write(IMAGE)
        elif self.path == "/nowhere":
            self.send_response(302)
            self.send_header("Location", "")
            self.end_headers()
        elif self.path == "/gone":
            self.send_error(404)
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"few")
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.05)
        elif self.path == "/slow-head":
            for letter in b"HTTP/1.1 200 OK\r\n" * 10:
                self.wfile.write(bytes([letter]))
                time.sleep(0.05)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(bytes(5000) if self.path == "/big" else IMAGE)

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            return  # the client had enough


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def fault(url: str, **options) -> ImageError:
    with pytest.raises(ImageError) as caught:
        fetch(url, **{"max_bytes": 1000, "allow_private": True, **options})
    assert "\n" not in caught.value.message
    return caught.value


def test_a_image(server: str) -> None:
    assert fetch(f"{server}/a b/ü.jpg?x=1", max_bytes=1000, allow_private=True) == IMAGE
    assert fetch(f"{server}/to?/a.jpg", max_bytes=1000, allow_private=True) == IMAGE


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/gone", "download", "404"),
        ("/big", "too_large", "1,000 bytes"),
        ("/short", "download", "downloaded"),
        ("/to?/to?/to?/to?/to?/to?/to?/a", "download", "5 redirects"),
        ("/to?file:///etc/passwd", "download", "redirects to file"),
        ("/to?ftp://127.0.0.1/", "download", "redirects to ftp"),
        ("/to?http://[::bad/", "download", "downloaded"),
        ("/to?http://[::1", "download", "not a valid address"),
        ("/to?http://127.0.0.1:99999/", "download", "downloaded"),
        ("/to?http://127.0.0.1:port/", "download", "downloaded"),
        ("/to?http://\xfc.invalid/\xfc", "download", "downloaded"),
        ("/to?" + "http://" + 64 * "a" + "/", "download", "downloaded"),
        ("/nowhere", "download", "302"),
        ("/to?//", "download", "5 redirects"),
    ],
)
def test_faults(server: str, path: str, code: str, words: str) -> None:
    error = fault(server + path)
    assert error.code == code
    assert words in error.message


def test_credentials_are_sent_to_their_host_only_and_never_shown(server: str) -> None:
    own = server.replace("://", "://me:p%40ss@")
    assert fetch(f"{own}/private", max_bytes=1000, allow_private=True) == IMAGE
    assert "401" in fault(f"{server}/private").message
    assert "401" in fault(f"{own}/to?{server}/private").message
    for path in ("/gone", "/big", "/short", "/nowhere"):
        assert "p%40ss" not in fault(own + path).message
    for address in ("http://me:secret@\u2100.invalid/", "http://me:secret/x@127.0.0.1/"):
        assert "secr" not in fault(address).message
    own_redirect = fault(f"{server}/to?{quote('ftp://me:secret@127.0.0.1/')}")
    assert own_redirect.message.endswith("redirects to ftp://127.0.0.1/")


@pytest.mark.parametrize("path", ["/slow", "/slow-head"])
def test_a_drip_is_cut_off(server: str, path: str) -> None:
    begin = time.monotonic()
    error = fault(server + path, limits=DownloadLimits(seconds=0.4))
    assert time.monotonic() - begin < 2
    assert (error.code, "too long" in error.message) == ("download", True)


def test_nobody_waits_for_ever_after_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> bytes:
        raise AttributeError("a bug")

    monkeypatch.setattr(download, "fetch", fetch)
    with pytest.raises(AttributeError, match="a bug"):
        fetch_unless(threading.Event(), "http://127.0.0.1/", max_bytes=1)


def test_nobody_waits_once_stopped(server: str) -> None:
    stop = threading.Event()
    found = fetch_unless(stop, f"{server}/a.jpg", max_bytes=1000, allow_private=True)
    assert found == IMAGE
    with pytest.raises(ImageError, match="404"):
        fetch_unless(stop, f"{server}/gone", max_bytes=1000, allow_private=True)
    threading.Timer(0.3, stop.set).start()
    begin = time.monotonic()
    with pytest.raises(ImageError, match="the download was cancelled"):
        fetch_unless(stop, f"{server}/slow", max_bytes=1000, allow_private=True)
    assert 0.2 < time.monotonic() - begin < 2


def test_a_bug_in_the_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TimeoutError, too, which looks like the result not being there yet."""

    def broken(*_: object, **__: object) -> bytes:
        raise TimeoutError("of a library")

    monkeypatch.setattr(download, "fetch", broken)
    with pytest.raises(TimeoutError, match="of a library") as caught:
        fetch_unless(threading.Event(), "http://127.0.0.1/", max_bytes=1)
    assert "broken" in [entry.name for entry in caught.traceback]


def test_nobody_there() -> None:
    assert fault("http://127.0.0.1:9/").code == "download"
    assert fault("http://name.invalid/a.jpg").code == "download"
    assert fault("http:///a.jpg").code == "download"
    assert fault("http://127.0.0.1:99999/").code == "download"


def test_private_addresses_are_refused(server: str) -> None:
    for url in (server, server.replace("127.0.0.1", "localhost"), "http://[::1]/", "http://0/"):
        error = fault(url, allow_private=False)
        assert error.code == "refused_address", url
        assert "--allow-private-addresses" in error.hint
    assert error.message == "http://0/: 0 is a private or special address (0.0.0.0)"
    error = fault("http://127.0.0.1/", allow_private=False)
    assert error.message == "http://127.0.0.1/: 127.0.0.1 is a private or special address"


def test_redirects_and_every_address_of_a_name_are_judged(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(server.rsplit(":", 1)[1])
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, wanted: int, *_: object, **__: object) -> list:
        asked.append(host)
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        if host == "mixed.example":
            return [(*entry, ("93.184.216.34", wanted)), (*entry, ("10.0.0.1", wanted))]
        if host == "public.example":  # stands for a public server: the test's own
            return [(*entry, ("93.184.216.34", wanted))]
        return real(host, wanted)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    connected: list[str] = []
    connect = socket.create_connection

    def to_server(address: tuple[str, int], **options) -> socket.socket:
        connected.append(address[0])
        return connect(("127.0.0.1", port), **options)

    monkeypatch.setattr(socket, "create_connection", to_server)
    assert fault("http://mixed.example/", allow_private=False).code == "refused_address"
    error = fault("http://public.example/to?http://127.0.0.1/", allow_private=False)
    assert error.code == "refused_address"
    # Looked up once a request: the connection goes to the address that was judged.
    assert fetch("http://public.example/a.jpg", max_bytes=1000) == IMAGE
    assert asked.count("public.example") == 2
    assert connected == ["93.184.216.34", "93.184.216.34"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::5db8:d822", True),
        *((address, False) for address in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1")),
        *((address, False) for address in ("169.254.169.254", "100.64.0.1", "0.0.0.0", "::1")),
        *((address, False) for address in ("fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1")),
        *((address, False) for address in ("64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1")),
        *((address, False) for address in ("255.255.255.255", "::", "ff02::1", "240.0.0.1")),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_defaults_are_those_of_the_settings() -> None:
    assert DownloadLimits() == download.DEFAULT_LIMITS
