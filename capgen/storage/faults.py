"""What goes wrong with a store, told apart: what may pass, what is missing, what is refused.

Each driver has its own errors, and none is imported for this: they are known by their names.
"""

from __future__ import annotations

import errno
from typing import Literal

Fault = Literal["missing", "permission", "login", "passing", "refused"]

_PASSING_NUMBERS = (
    *(errno.ETIMEDOUT, errno.EBUSY, errno.EIO, errno.EAGAIN, errno.EINTR, errno.ENETUNREACH),
    *(errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.EPIPE, errno.EHOSTUNREACH),
)
# Beginnings of module names of drivers and what they are built on.
_DRIVERS = (
    *("aiobotocore", "botocore", "s3fs", "gcsfs", "google.", "adlfs", "azure.", "aiohttp"),
    *("huggingface_hub", "httpx", "httpcore", "requests", "urllib3", "paramiko", "fsspec"),
)
_LOGIN = ("credential", "defaultcredentials", "token", "authentication", "unauthorized")
# Of S3: what it answers with 403, or 400, to credentials that are wrong or too old.
_LOGIN_CODES = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
    *("TokenRefreshRequired", "AuthorizationHeaderMalformed"),
)
_PASSING = (
    *("timeout", "connection", "connecterror", "connectorerror", "httpclienterror", "dnserror"),
    *("disconnected", "incompleteread", "payload", "ssl", "throttl", "slowdown"),
    *("serviceunavailable", "internalerror", "servererror", "responsestreaming"),
)


def fault_of(error: BaseException) -> Fault | None:
    """Return what an exception of a driver means; None if it does not come from a store.

    s3fs makes OSErrors of what botocore says, which is their cause and tells more.
    """
    code, status = _answer(error.__cause__)
    if code in _LOGIN_CODES:
        return "login"
    if status is not None:
        return _of_status(status)
    return _by_itself(error)


def _by_itself(error: BaseException) -> Fault | None:
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return "missing"
    name = type(error).__name__.lower()
    if any(word in name for word in _LOGIN):
        return "login"
    if isinstance(error, PermissionError):
        return "permission"
    if isinstance(error, TimeoutError | ConnectionError):
        return "passing"
    if isinstance(error, OSError) and error.errno in _PASSING_NUMBERS:
        return "passing"
    if any(word in name for word in _PASSING):
        return "passing"
    status = _status(error)
    if status is not None:
        return _of_status(status)
    # A name that cannot be of an object is a ValueError of most drivers.
    refusals = OSError | ValueError | NotImplementedError
    if isinstance(error, refusals) or type(error).__module__.startswith(_DRIVERS):
        return "refused"
    return None


def _answer(error: BaseException | None) -> tuple[str, int | None]:
    """Return the code and the HTTP status of a botocore error; nothing for others."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return "", None
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return str(response.get("Error", {}).get("Code")), status if isinstance(status, int) else None


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an error holds, if any."""
    _, found = _answer(error)
    if found is None:
        found = getattr(getattr(error, "response", None), "status_code", None)
    for name in ("status", "status_code", "code"):
        found = found if isinstance(found, int) else getattr(error, name, None)
    return found if isinstance(found, int) else None


def _of_status(status: int) -> Fault:
    if status in (404, 410):
        return "missing"
    if status == 401:
        return "login"
    if status == 403:
        return "permission"
    return "passing" if status in (408, 429) or status >= 500 else "refused"
