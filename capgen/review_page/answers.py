"""What the server answers: JSON, and errors as JSON."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from capgen.errors import CapgenError, DiskFullError, StorageError, UsageError

# Find and replace over all of 20,000 captions takes about 5 MB.
LARGEST_BODY = 64 << 20


class RequestError(Exception):
    """A request that is answered by an error.

    Args:
        status: The HTTP status.
        message: One line: what is wrong.
        hint: What to do about it.
    """

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint


def json_answer(content: Any, status: int = 200) -> Response:
    """Return an answer in JSON.

    In ASCII, which has a form for file names that are not valid text.
    """
    text = json.dumps(content, separators=(",", ":"))
    return Response(text, status, media_type="application/json")


def error_answer(status: int, message: str, hint: str = "") -> Response:
    """Return an error in JSON."""
    return json_answer({"error": message, "hint": hint}, status)


async def request_error(request: Request, error: Exception) -> Response:
    """Answer a `RequestError`."""
    assert isinstance(error, RequestError)
    return error_answer(error.status, error.message, error.hint)


async def capgen_error(request: Request, error: Exception) -> Response:
    """Answer one of capgen's own errors by the status that suits it."""
    assert isinstance(error, CapgenError)
    status = 422
    if isinstance(error, UsageError):
        status = 400
    elif isinstance(error, StorageError):
        status = 507 if isinstance(error, DiskFullError) else 500
    return error_answer(status, error.message, error.hint)


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request sends.

    Raises:
        RequestError: It sends something else, or too much.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # which a form of another site cannot send
        raise RequestError(415, "The request must be application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise RequestError(413, f"A request can have {LARGEST_BODY >> 20} MB")
    try:
        content = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "The request is not JSON") from error
    if not isinstance(content, dict):
        raise RequestError(400, "The request must be a JSON object")
    return content
