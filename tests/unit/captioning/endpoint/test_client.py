"""The client against a scripted server: which faults are repeated, and which end the run."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from capgen.captioning.endpoint import client as client_module
from capgen.captioning.endpoint.address import read_address
from capgen.captioning.endpoint.client import Client, ImageRefusedError
from capgen.config import KEY_VARIABLE, DecodeOptions, EndpointOptions, resolve_served
from capgen.errors import EndpointError, NetworkError
from tests.chat_server import (
    ChatServer,
    Handler,
    Reply,
    answer,
    chatting,
    garbage,
    gigabyte,
    half,
    nothing,
    says,
    sends,
)

KEY = "sk-do-not-show-me"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_FIRST_PAUSE", 0.001)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chatting() as state:
        state.refuses = lambda content: sends(answer("a dog"))
        yield state


def client_of(server: ChatServer, path: str = "/v1", **options: float) -> Client:
    return Client(read_address(server.address + path), EndpointOptions(**options))  # type: ignore[arg-type]


def ask(client: Client) -> str:
    made = {"model": "tiny", "messages": [], "logprobs": True, "max_tokens": 5, "temperature": 0}
    read = client.complete(
        lambda: {name: value for name, value in made.items() if name not in left_out(client)},
        threading.Event(),
    )
    return read.choices[0].text


def left_out(client: Client) -> set[str]:
    return client.dialect._left_out


@pytest.mark.parametrize(
    "fault",
    [
        *(says(status) for status in (408, 409, 429, 500, 502, 503, 504, 529)),
        *(garbage, half, nothing, sends({"choices": []})),
        sends({"error": {"code": 503, "message": "loading"}}),
    ],
)
def test_faults_that_pass_are_repeated(server: ChatServer, fault: Reply) -> None:
    server.script = [fault, fault]
    assert ask(client_of(server)) == "a dog"
    assert len(server.requests) >= 3


@pytest.mark.parametrize("fault", [says(500, "out of memory"), garbage, half])
def test_a_fault_that_stays_is_the_images_and_may_pass(server: ChatServer, fault: Reply) -> None:
    server.refuses = lambda content: fault
    with pytest.raises(ImageRefusedError) as caught:
        ask(client_of(server, retries=2))
    assert caught.value.why.code == "unavailable"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (says(400, "cannot decode the image"), "cannot decode the image"),
        (says(413, "too big"), "too big"),
        (says(422), "422"),
        (says(403, "flagged by moderation"), "moderation"),
        (sends({"error": {"code": 400, "message": "bad image"}}), "bad image"),
        (gigabyte, "too large"),
    ],
)
def test_what_is_wrong_with_one_image_is_not_repeated(
    server: ChatServer, fault: Reply, text: str
) -> None:
    server.script = [fault]
    client = client_of(server)
    with pytest.raises(ImageRefusedError, match=text) as caught:
        ask(client)
    assert caught.value.why.code == "endpoint"
    assert len(server.requests) == 1
    assert ask(client) == "a dog"


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        *((says(status, "no"), KEY_VARIABLE) for status in (401, 403)),
        (says(404, "no such model"), "the server has tiny"),
        (says(402, "pay"), ""),
        (says(429, "insufficient_quota"), ""),
    ],
)
def test_what_is_wrong_with_the_request_ends_the_run(
    server: ChatServer, fault: Reply, hint: str
) -> None:
    server.script = [fault]
    with pytest.raises(EndpointError) as caught:
        ask(client_of(server))
    assert hint in caught.value.hint
    assert len(server.requests) == 1


def test_a_wrong_port_ends_the_run_at_once() -> None:
    with chatting() as state:
        address = state.url
    client = Client(read_address(address), EndpointOptions())
    with pytest.raises(NetworkError, match="Cannot reach") as caught:
        ask(client)
    assert "--endpoint" in caught.value.hint
    with pytest.raises(NetworkError, match="Cannot reach"):
        client.models()


def test_retry_after_in_seconds_holds_back_all_requests(server: ChatServer) -> None:
    server.script = [says(429, Retry_After="1")]
    client = client_of(server)
    start = time.monotonic()
    assert ask(client) == "a dog"
    assert time.monotonic() - start >= 1.0


def test_retry_after_as_a_date(server: ChatServer) -> None:
    when = datetime.now(UTC) + timedelta(seconds=2.5)
    server.script = [says(503, Retry_After=format_datetime(when, usegmt=True))]
    assert ask(client_of(server)) == "a dog"
    # Dates have whole seconds.
    assert datetime.now(UTC) >= when.replace(microsecond=0)


def test_a_very_long_wait_ends_the_run(server: ChatServer) -> None:
    server.script = [says(429, Retry_After="7200")]
    with pytest.raises(EndpointError, match="wait 120 minutes"):
        ask(client_of(server))


def test_a_server_that_always_fails_ends_the_run(server: ChatServer) -> None:
    server.refuses = lambda content: says(500, "broken")
    client = client_of(server, retries=0, concurrency=1)
    for _ in range(7):
        with pytest.raises(ImageRefusedError):
            ask(client)
    with pytest.raises(EndpointError, match="8 images in a row"):
        ask(client)


def test_an_answer_begins_the_count_anew(server: ChatServer) -> None:
    client = client_of(server, retries=0, concurrency=1)
    for _ in range(3):
        server.script = [says(500)] * 7
        for _ in range(7):
            with pytest.raises(ImageRefusedError):
                ask(client)
        assert ask(client) == "a dog"


def test_silence_ends_with_the_time_allowed(server: ChatServer) -> None:
    server.held = threading.Event()
    start = time.monotonic()
    with pytest.raises(ImageRefusedError, match="no answer within"):
        ask(client_of(server, timeout=0.3, retries=1))
    assert 0.6 <= time.monotonic() - start < 10


def test_a_trickle_of_bytes_ends_with_the_time_allowed(server: ChatServer) -> None:
    stop = threading.Event()

    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not stop.wait(0.05):
            handler.wfile.write(b" ")

    server.script = [trickle]
    try:
        with pytest.raises(ImageRefusedError, match="no answer within"):
            ask(client_of(server, timeout=0.5, retries=0))
    finally:
        stop.set()


def test_connections_are_kept(server: ChatServer) -> None:
    seen = set()

    def reply(handler: Handler) -> None:
        seen.add(handler.client_address)
        handler.send_json(answer("a dog"))

    server.refuses = lambda content: reply
    client = client_of(server)
    for _ in range(5):
        ask(client)
    assert len(seen) == 1


def test_a_kept_connection_that_the_server_closed_counts_as_no_failure(
    server: ChatServer,
) -> None:
    client = client_of(server, retries=0)
    ask(client)
    server.script = [nothing]
    assert ask(client) == "a dog"


def test_redirects_within_the_server_are_followed(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    server.script = [says(307, Location="/other/path")]
    assert ask(client_of(server)) == "a dog"
    assert [seen["Authorization"] for seen in server.headers] == [f"Bearer {KEY}"] * 2


def test_nothing_is_sent_to_another_host(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with chatting() as other:
        server.script = [says(308, Location=f"{other.url}/chat/completions")]
        with pytest.raises(EndpointError, match="redirects to") as caught:
            ask(client_of(server))
        assert not other.headers
        assert f"redirects to {other.address}: nothing" in str(caught.value)
    assert KEY not in str(caught.value) + caught.value.hint


def test_redirects_in_circles_end(server: ChatServer) -> None:
    server.refuses = lambda content: says(307, Location="/v1/chat/completions")
    with pytest.raises(EndpointError, match="circles"):
        ask(client_of(server))
    assert len(server.requests) == 4


def test_a_refused_parameter_is_left_out_from_then_on(server: ChatServer) -> None:
    def refuses(content: dict[str, object]) -> Reply:
        for name in ("logprobs", "temperature"):
            if name in content:
                return says(400, f"Unsupported parameter: '{name}'")
        return sends(answer("a dog"))

    server.refuses = refuses
    client = client_of(server)
    assert ask(client) == "a dog"
    assert ask(client) == "a dog"
    assert len(server.requests) == 4
    assert client.dialect.notes(resolve_served(DecodeOptions())) == (
        "the server chooses the temperature itself",
    )


def test_the_key_is_in_no_message_and_no_log(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    caplog.set_level("DEBUG")
    server.script = [says(500), says(401, "Invalid key")]
    with pytest.raises(EndpointError) as caught:
        ask(client_of(server))
    said = f"{caught.value!r} {caught.value.hint} {caplog.text} {json.dumps(server.requests)}"
    assert "127.0.0.1" in said
    assert KEY not in said


def test_models(server: ChatServer) -> None:
    assert client_of(server).models() == ["tiny"]
    server.models = None
    assert client_of(server).models() is None


def test_requests_per_minute_are_kept(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capgen.captioning.endpoint.pace._MINUTE", 0.6)
    client = client_of(server, requests_per_minute=2)
    start = time.monotonic()
    for _ in range(5):
        ask(client)
    assert time.monotonic() - start >= 1.2


def test_a_certificate_that_is_not_valid_ends_the_run(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = [
        openssl,
        *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
    ]
    subprocess.run(
        [*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError):
                context.wrap_socket(listening.accept()[0], server_side=True)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        client = Client(read_address(f"https://127.0.0.1:{port}/v1"), EndpointOptions())
        with pytest.raises(NetworkError, match="certificate is not valid"):
            ask(client)


def test_https_goes_through_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://me:pass@127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv(KEY_VARIABLE, KEY)

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                asked.append(connection.recv(1 << 16))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        client = Client(read_address("https://api.example/v1"), EndpointOptions())
        with pytest.raises(NetworkError, match="Cannot reach"):
            ask(client)
        thread.join(30)
    assert asked[0].startswith(b"CONNECT api.example:443")
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==" in asked[0]
    assert KEY.encode() not in asked[0]
