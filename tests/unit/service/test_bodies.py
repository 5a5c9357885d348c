"""Bodies that are held at the same time take bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.requests import Request

from capgen.config import ServeOptions
from capgen.service.answers import ClientGoneError, RequestError
from capgen.service.bodies import Bodies

LARGEST = 2048


def request(parts: Iterable[bytes], *, gone: bool = False, **headers: str) -> Request:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    last = {"type": "http.disconnect"} if gone else {"type": "http.request", "body": b""}
    messages.append(last)

    async def receive() -> Any:
        return messages.pop(0)

    named = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": named}, receive)


async def whole(bodies: Bodies, asked: Request) -> bytes:
    async with bodies.body(asked) as body:
        return await body.whole()


@pytest.fixture
def bodies() -> Bodies:
    return Bodies(ServeOptions(max_body=LARGEST))


def test_room_is_given_back(bodies: Bodies) -> None:
    for _ in range(20):
        assert len(asyncio.run(whole(bodies, request([b"x" * 1024] * 2)))) == LARGEST


def test_too_many_large_bodies_at_once(bodies: Bodies) -> None:
    async def nested(depth: int) -> None:
        async with bodies.body(request([b"x" * LARGEST])) as body:
            await body.whole()
            if depth:
                await nested(depth - 1)

    asyncio.run(nested(7))
    with pytest.raises(RequestError) as caught:
        asyncio.run(nested(8))
    assert caught.value.status == 429 and caught.value.headers["Retry-After"]
    asyncio.run(nested(7))  # what was refused holds nothing


@pytest.mark.parametrize("headers", [{"content_length": str(LARGEST + 1)}, {}])
def test_one_that_is_too_large(bodies: Bodies, headers: dict[str, str]) -> None:
    with pytest.raises(RequestError) as caught:
        asyncio.run(whole(bodies, request([b"x" * LARGEST, b"x"], **headers)))
    assert caught.value.status == 413


def test_a_client_that_hangs_up(bodies: Bodies) -> None:
    with pytest.raises(ClientGoneError):
        asyncio.run(whole(bodies, request([b"x"], gone=True)))
