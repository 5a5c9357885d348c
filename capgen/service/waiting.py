"""Waits for an answer as long as the client does, and no longer than the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from capgen.service.answers import ClientGoneError, RequestError

_Result = TypeVar("_Result")


async def while_connected(
    request: Request, work: Coroutine[Any, Any, _Result], seconds: float
) -> _Result:
    """Return what `work` returns, or cancel it.

    Args:
        request: The request, whose body was read.
        work: Makes the answer.
        seconds: How long it may take.

    Raises:
        RequestError: It takes too long (504).
        ClientGoneError: The client hung up.
    """
    task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        done, _ = await asyncio.wait(
            {task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if task in done:
            return task.result()
        if gone in done:
            raise ClientGoneError
        raise RequestError(504, f"The answer took more than {seconds:g} s", code="timeout")
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
