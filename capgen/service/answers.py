"""What the service answers: JSON, and errors in the form of the OpenAI protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from capgen.errors import CapgenError, DeviceMemoryError, NetworkError, UsageError
from capgen.records import CaptionFailure

_FLAG = re.compile(r"--([a-z][a-z-]*[a-z])")
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
# Failures that are not the image's: of the server that the model is on, and of this machine.
_NOT_THE_IMAGE = {"endpoint": 502, "unavailable": 502, "memory": 503}


class RequestError(Exception):
    """A request that is answered by an error.

    Args:
        status: The HTTP status.
        message: One line: what is wrong.
        hint: What to do about it.
        code: Stable name of the fault.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        hint: str = "",
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.code = code
        self.headers = dict(headers or {})


class ClientGoneError(Exception):
    """The client hung up: nobody waits for the answer."""


def json_answer(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer in JSON, in ASCII: names of files may hold what is no valid text."""
    text = json.dumps(content, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


def error_answer(
    status: int,
    message: str,
    hint: str = "",
    *,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error: `{"error": {"message", "type", "param", "code", "hint"}}`."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    fields = {"message": message, "type": kind, "param": None, "code": code}
    return json_answer({"error": {**fields, "hint": hint}}, status, headers)


def answer_of(error: RequestError) -> Response:
    """Return the answer that an error asks for."""
    return error_answer(
        error.status, error.message, error.hint, code=error.code, headers=error.headers
    )


def status_of(failure: CaptionFailure, of_image: int) -> int:
    """Return the status for an image without a caption; `of_image` where that is its fault."""
    return _NOT_THE_IMAGE.get(failure.code, of_image)


def answer_of_capgen(error: CapgenError) -> Response:
    """Return the answer to one of capgen's own errors, by the status that suits it."""
    message, hint = (without_flags(text) for text in (error.message, error.hint))
    if isinstance(error, UsageError):
        return error_answer(400, message, hint, code="invalid_option")
    if isinstance(error, NetworkError):
        return error_answer(502, message, hint, code="endpoint")
    if isinstance(error, DeviceMemoryError):
        return error_answer(503, message, hint, code="device_memory")
    return error_answer(500, message, hint)


def without_flags(text: str) -> str:
    """Return a message with options as requests name them: `--max-words` is `max_words`."""
    return _FLAG.sub(lambda found: found[1].replace("-", "_"), text)
