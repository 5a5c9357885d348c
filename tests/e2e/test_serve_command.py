"""`capgen serve` as a process: signals, tokens, hostile requests beside good ones."""

from __future__ import annotations

import io
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.service_servers import Process

TOKEN = "0123456789abcdef-token"


def post(client: httpx.Client, path: Path, query: str = "") -> httpx.Response:
    headers = {"Content-Type": "image/jpeg"}
    return client.post(f"/v1/captions{query}", content=path.read_bytes(), headers=headers)


@contextmanager
def half_sent(client: httpx.Client, data: bytes) -> Iterator[socket.socket]:
    """Send half of a request; it is in progress, beside the one that finds that out."""
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0), 60) as connection:
        head = "POST /v1/captions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode())
        connection.sendall(data[:100])
        while "capgen_requests_in_progress 2.0" not in client.get("/metrics").text:
            pass
        yield connection


def test_requests_in_progress_are_answered_before_it_ends(images: list[Path]) -> None:
    process = Process("--log-level", "info")
    data = images[0].read_bytes()
    with process.client() as client, half_sent(client, data) as connection:
        process.signal(signal.SIGTERM)
        process.hear("stopping")
        while (health := client.get("/healthz")).status_code == 200:  # it was told, and knows soon
            pass
        assert health.status_code == 503 and health.json()["status"] == "stopping"
        assert post(client, images[1]).status_code == 503
        connection.sendall(data[100:])
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200") and b'"caption":"' in answer
    code, said = process.end()
    assert code == 0 and "Traceback" not in said and "not all" not in said


def test_what_does_not_end_in_time_is_cut(images: list[Path]) -> None:
    process = Process("--seconds-to-stop", "0.2")
    with process.client() as client, half_sent(client, images[0].read_bytes()):
        process.signal(signal.SIGTERM)
        code, said = process.end()
    assert code == 0 and "not all requests" in said and "Traceback" not in said


def test_ctrl_c_while_idle() -> None:
    process = Process()
    process.client().close()
    process.signal(signal.SIGINT)
    code, said = process.end()
    assert code == 0 and "Traceback" not in said


def test_a_second_ctrl_c_ends_it_at_once() -> None:
    process = Process()
    with process.client() as client, half_sent(client, b"x" * 1000):
        process.signal(signal.SIGINT)
        process.hear("stopping")
        process.signal(signal.SIGINT)
        code, said = process.end()
    assert code == 130 and "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--host", "0.0.0.0"], {}, "need a token"),
        (["--host", "0.0.0.0"], {"CAPGEN_SERVE_TOKEN": "short"}, "at least 16"),
        (["--token-file", "nothing.txt"], {}, "No such file"),
        (["--host", "no.such.host.invalid"], {"CAPGEN_SERVE_TOKEN": TOKEN}, "no such address"),
        (["--allow-origin", "*"], {}, "must be an origin"),
    ],
)
def test_what_would_not_be_safe_does_not_start(
    arguments: list[str], environment: dict[str, str], message: str
) -> None:
    code, said = Process(*arguments, **environment).end()
    assert code == 2 and message in said


def test_beyond_this_machine_with_a_token(images: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"{TOKEN}\n")
    process = Process("--host", "0.0.0.0", "--token-file", str(file), "--log-level", "debug")
    with process.client() as client:
        assert post(client, images[0]).status_code == 401
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert post(client, images[0]).status_code == 200
    process.signal()
    code, said = process.end()
    assert code == 0 and TOKEN not in said


def bomb() -> bytes:
    """A PNG of 400 million pixels in a few hundred kilobytes."""
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_hostile_bodies_harm_nobody_and_take_no_memory(images: list[Path]) -> None:
    process = Process()
    with process.client() as client, ThreadPoolExecutor(4) as pool:
        assert post(client, images[0]).status_code == 200
        before = process.memory()

        def huge() -> int:
            parts = (b"x" * (1 << 20) for _ in range(300))
            headers = {"Content-Type": "image/jpeg"}
            return client.post("/v1/captions", content=parts, headers=headers).status_code

        def bombs() -> int:
            headers = {"Content-Type": "image/png"}
            return client.post("/v1/captions", content=bomb(), headers=headers).status_code

        def halves() -> int:
            port = client.base_url.port or 0
            with socket.create_connection(("127.0.0.1", port)) as connection:
                head = "POST /v1/captions HTTP/1.1\r\nHost: localhost\r\n"
                head += "Content-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n"
                connection.sendall(head.encode() + b"x" * 50_000)
            return 0

        bad = [pool.submit(work) for _ in range(3) for work in (huge, bombs, halves)]
        good = [post(client, path).status_code for path in images]
        assert good == [200] * len(images)
        assert [one.result() for one in bad] == [413, 422, 0] * 3
        assert process.memory() - before < 150 << 20
    process.signal()
    assert process.end()[0] == 0
