"""Who may ask: the Host and Origin of a request, and its token.

- A service without a token is reached on the loopback interface only. Its Host header must be the
  loopback's: a name that an attacker points to 127.0.0.1 (DNS rebinding) is another one.
- A page in a browser may ask only if its origin is allowed.
- With a token every request must have it, except `/healthz`, which load balancers ask.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from capgen.service.answers import error_answer

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OPEN = ("/healthz",)


class Guard:
    """Middleware that lets only permitted requests through.

    Args:
        app: The application.
        token: What requests must have, or "" on a service that only this machine reaches.
        origins: The origins whose pages may ask.
    """

    def __init__(self, app: ASGIApp, token: str, origins: Sequence[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] == "http":
            await (self._refusal(scope) or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._token and host_of(headers.get("host", "")) not in _LOOPBACK:
            return error_answer(403, "The address of this service is 127.0.0.1", code="host")
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            return error_answer(
                403,
                "Pages of this origin may not ask this service",
                "Start it with --allow-origin to let them.",
                code="origin",
            )
        if not self._token or scope["path"] in _OPEN or self._knows(headers):
            return None
        return error_answer(
            401,
            "This service needs its token",
            "Send it as Authorization: Bearer TOKEN.",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _knows(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # In constant time, so that the token cannot be guessed letter by letter.
        same = secrets.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        return scheme.lower() == "bearer" and same


def host_of(header: str) -> str:
    """Return the host of a Host header, without port and brackets."""
    header = header.strip().lower()
    if header.startswith("["):
        host, _, rest = header[1:].partition("]")
        return host if not rest or rest.startswith(":") else ""
    return header.partition(":")[0]
