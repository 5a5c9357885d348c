"""Requests to the Hub: errors as capgen's, and limits on retries.

huggingface_hub retries failed requests, and waits as long as a server asks it to. `patient`
limits both: it gives up when a server keeps failing or asks for too long a pause.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from capgen.errors import CapgenError, ModelNotFoundError, NetworkError, UsageError

logger = logging.getLogger(__name__)

T = TypeVar("T")
CONNECT_SECONDS = 5.0
_OFFLINE_HINTS = {
    "model": "Go online once, or use a model folder. The bundled model needs no network."
}
LOGIN_HINT = "Log in with `capgen hub login`, or set HF_TOKEN."
# Variables with the access token, in order of precedence.
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGINGFACE_TOKEN")
_TOKEN = re.compile(r"[!-~]+")
# Statuses that the client itself retries (409: another operation on the repository is running).
_REPEATED = (408, 409, 429, 500, 502, 503, 504)
# With these the server has done nothing, so any request may be sent again.
_BUSY = (429, 503)
_SERVER_HINT = "Try again later; files already sent are not sent again."
_STATUS = {
    401: ("does not accept the token", LOGIN_HINT),
    403: ("does not allow this with your token", "Use a token with write permission there."),
    409: ("reports a conflict: somebody else is changing it", "Try again."),
    412: ("reports that it has changed in the meantime", "Try again."),
    413: ("rejects it as too large", ""),
    429: ("is limiting your requests", _SERVER_HINT),
}


@dataclass(frozen=True)
class Patience:
    """How long to put up with a server.

    Attributes:
        failing: Seconds from the first failure to giving up, including requested pauses.
        silent: Seconds without any data.
    """

    failing: float = 120.0
    silent: float = 60.0


@dataclass
class Waiting:
    """Limits the retries within `patient`."""

    patience: Patience
    since: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def see(self, response: Any) -> None:
        """Note a response; raise NetworkError after too long a series of failures."""
        now = time.monotonic()
        with self.lock:
            if response.status_code not in _REPEATED:
                self.since = None
            else:
                self.since = now if self.since is None else self.since
                self._check(response, self.since)

    def repeat(self, call: Callable[[], T]) -> T:
        """Call until the server is no longer busy; raise NetworkError if that takes too long."""
        from huggingface_hub import errors

        begin = None
        while True:
            try:
                return call()
            except errors.HfHubHTTPError as error:
                if error.response.status_code not in _BUSY:
                    raise
                begin = time.monotonic() if begin is None else begin
                self._check(error.response, begin)
                time.sleep(max(1.0, _pause(error.response)))

    def _check(self, response: Any, begin: float) -> None:
        pause = _pause(response)
        host, status = response.request.url.host, response.status_code
        failing = time.monotonic() - begin
        logger.debug(
            "%s has answered %d for %.0f seconds; it asks to wait %.0f seconds",
            *(host, status, failing, pause),
        )
        if failing + pause < self.patience.failing:
            return
        problem = f"asks to wait {pause:.0f} seconds" if pause else "keeps failing"
        raise NetworkError(f"{host} answers {status} and {problem}", hint=_SERVER_HINT)


def _pause(response: Any) -> float:
    """Return the seconds that a server asks to wait; 0 if it gives none (or a date).

    As in the client, `RateLimit`, which huggingface.co sends, comes before `Retry-After`.
    """
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    limit = parse_ratelimit_headers(response.headers) if response.status_code == 429 else None
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    text = str(response.headers.get("retry-after", ""))
    return float(text) if text.isdigit() else 0.0


@contextmanager
def patient(patience: Patience | None = None) -> Iterator[Waiting]:
    """Limit the retries of huggingface_hub's client while the block runs.

    Yields:
        A `Waiting`, to retry calls that the client itself does not retry.
    """
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    waiting = Waiting(patience or Patience())
    session = get_session()
    hooks, timeout = session.event_hooks, session.timeout
    session.event_hooks = {**hooks, "response": [*hooks.get("response", []), waiting.see]}
    session.timeout = waiting.patience.silent
    try:
        yield waiting
    finally:
        session.event_hooks, session.timeout = hooks, timeout


@contextmanager
def hub_errors(
    identifier: str,
    revision: str | None = None,
    *,
    kind: str = "model",
    missing: type[CapgenError] = ModelNotFoundError,
) -> Iterator[None]:
    """Turn huggingface_hub's errors about a repository into capgen's.

    Args:
        identifier: The repository.
        revision: Its revision.
        kind: What it holds, for messages.
        missing: The error to raise if it is not there.

    Raises:
        CapgenError: The repository or revision does not exist, is private, or is gated; it is
            of the class `missing`.
        NetworkError: The Hub cannot be reached, or refuses the request.
    """
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise missing(
            f"{identifier} is gated: you must accept its terms on the Hub first",
            hint="Accept them in the browser, then log in with `capgen hub login`.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise missing(f"{identifier} has no revision '{revision}'") from error
    except errors.RepositoryNotFoundError as error:
        raise missing(
            f"There is no {kind} '{identifier}' on the Hub ({constants.ENDPOINT}), or it is "
            "private",
            hint="Check the name; for a private one, log in with `capgen hub login`.",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        given_up = own_error(error)
        if given_up is not None:
            raise given_up from error
        raise NetworkError(
            f"Cannot reach {constants.ENDPOINT}, and {identifier} is not in the local cache",
            hint=_OFFLINE_HINTS.get(kind, "Go online once."),
        ) from error
    except errors.HFValidationError as error:
        raise missing(f"'{identifier}' is not a Hub id: {error}") from error
    except errors.FileMetadataError as error:
        raise NetworkError(f"{constants.ENDPOINT} does not answer like the Hub") from error
    except errors.HTTPError as error:  # type: ignore[attr-defined]  # its HTTP library's
        raise refusal(error, identifier) from error


def refusal(error: Exception, what: str) -> NetworkError:
    """Return an HTTP error as capgen's error, with its cause and remedy."""
    from huggingface_hub import constants

    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status in _STATUS:
        reason, hint = _STATUS[status]
        return NetworkError(f"{constants.ENDPOINT} {reason} ({status}, {what})", hint=hint)
    first_line = str(error).strip().split("\n")[0]
    hint = _SERVER_HINT if status >= 500 or not status else ""
    return NetworkError(f"{constants.ENDPOINT} failed for {what}: {first_line}", hint=hint)


def own_error(error: BaseException | None) -> CapgenError | None:
    """Return capgen's error among the causes of another library's error, if there is one."""
    while error is not None:
        if isinstance(error, CapgenError):
            return error
        error = error.__cause__ or error.__context__
    return None


def find_token(given: str | None = None) -> str | None:
    """Return the token that was given, else that of the environment, else of the saved login.

    The client itself reads only the first of `TOKEN_VARIABLES`.
    """
    from huggingface_hub import get_token

    sources = (("--token", given), *((name, os.environ.get(name)) for name in TOKEN_VARIABLES))
    for source, value in sources:
        token = (value or "").strip()
        if token and not _TOKEN.fullmatch(token):
            raise UsageError(f"The token in {source} has spaces or other invalid characters")
        if token:
            return token
    return get_token()


def offline() -> bool:
    """Return whether the Hub must not be asked, or cannot be reached."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) or not reachable(constants.ENDPOINT)


def reachable(endpoint: str) -> bool:
    """Return within seconds whether a server answers; the client would take half a minute."""
    from huggingface_hub import errors
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    if not is_address(endpoint):
        return False
    try:
        get_session().head(endpoint, timeout=CONNECT_SECONDS)
    except errors.HTTPError:  # type: ignore[attr-defined]
        return False
    return True


def is_address(text: str) -> bool:
    """Return whether the text is an http or https address with a host."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host != b"" and text.isprintable()
