"""Reads the bodies of requests within limits of size, time and memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import ClientDisconnect, Request

from capgen.config import ServeOptions
from capgen.service.answers import ClientGoneError, RequestError

# The bodies that are held at the same time may take so many times the largest one.
_BODIES = 8


class Bodies:
    """Reads bodies; together they take bounded memory. Belongs to one event loop.

    Args:
        options: The largest body, and how long it may take.
    """

    def __init__(self, options: ServeOptions) -> None:
        self.largest = options.max_body
        self.seconds = options.seconds_to_send
        self._room = _BODIES * options.max_body

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[Body]:
        """Give the body of a request; its memory counts until the end of the block.

        Raises:
            RequestError: It is too large.
        """
        length = request.headers.get("content-length", "")
        body = Body(self, request)
        if length.isdecimal() and int(length) > self.largest:
            raise body.too_large()
        try:
            yield body
        finally:
            self._room += body.size

    def take(self, size: int) -> None:
        """Take room for some bytes.

        Raises:
            RequestError: Too many bodies are held.
        """
        if size > self._room:
            raise RequestError(429, "Too many large requests at once", headers={"Retry-After": "1"})
        self._room -= size


class Body:
    """The body of one request."""

    def __init__(self, bodies: Bodies, request: Request) -> None:
        self._bodies = bodies
        self._request = request
        self.size = 0

    def too_large(self) -> RequestError:
        """Return the error of a body that is too large."""
        return RequestError(
            413, f"A request can have {self._bodies.largest:,} bytes", code="too_large"
        )

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            RequestError: It is too large, or takes too long.
            ClientGoneError: The client hung up.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._bodies.seconds
        stream = self._request.stream().__aiter__()
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    part = await anext(stream, None)
            except TimeoutError as error:
                raise RequestError(
                    408, f"The request took more than {self._bodies.seconds:g} s to arrive"
                ) from error
            except ClientDisconnect as error:
                raise ClientGoneError from error
            if part is None:
                return
            if self.size + len(part) > self._bodies.largest:
                raise self.too_large()
            self._bodies.take(len(part))
            self.size += len(part)
            yield part

    async def whole(self) -> bytes:
        """Return the whole body."""
        data = bytearray()
        async for part in self.parts():
            data += part
        return bytes(data)

    async def json(self) -> dict[str, Any]:
        """Return the JSON object that the body is.

        Raises:
            RequestError: It is something else.
        """
        data = await self.whole()
        try:  # in a thread: an image in base64 may have many megabytes
            content = await asyncio.to_thread(json.loads, data)
        except (ValueError, RecursionError) as error:
            raise RequestError(400, "The request is not JSON") from error
        if not isinstance(content, dict):
            raise RequestError(400, "The request must be a JSON object")
        return content
