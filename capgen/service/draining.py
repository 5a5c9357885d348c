"""Lets clients read an early answer: what they still send is read and thrown away.

A connection that is closed while its client is sending is reset, and the client never sees why.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = 10


class Draining:
    """Middleware that reads the rest of a request whose answer came before its end.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then read on."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        # Who asked whether to send has not begun.
        reading = "expect" not in headers and (
            "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        )

        async def receive_noted() -> Message:
            nonlocal reading
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                reading = False
            return message

        async def send_early(message: Message) -> None:
            if not reading:
                await send(message)
            elif message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
                await send(message)
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SECONDS):
                        while reading:
                            await receive_noted()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, receive_noted, send_early)
