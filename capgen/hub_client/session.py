"""Talking to the Hub: its errors in capgen's words, and an end to waiting.

huggingface_hub repeats what fails, and waits as long as a server asks it to. `patient` bounds
both: a server that only fails, or asks for too long a pause, is given up on.
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
LOGIN_HINT = "Log in with `capgen hub login`, or set HF_TOKEN."
# Where the access token is looked for.
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGINGFACE_TOKEN")
_TOKEN = re.compile(r"[!-~]+")
# What the client repeats by itself (409: while another operation on the repository goes on).
_REPEATED = (408, 409, 429, 500, 502, 503, 504)
# Nothing has happened then, so that any request may be sent again.
_BUSY = (429, 503)
_STATUS = {
    401: ("does not accept the token", LOGIN_HINT),
    403: ("does not let this token do that", "Use a token that may write there."),
    409: ("reports a conflict: somebody else is changing it", "Try again."),
    412: ("reports that it has changed meanwhile", "Try again."),
    413: ("finds it too large", ""),
    429: ("asks for fewer requests", "Try again later; what was sent is not sent again."),
}
_SERVER_HINT = "Try again later; what was sent is not sent again."


@dataclass(frozen=True)
class Patience:
    """How long a server may fail.

    Attributes:
        failing: Seconds from a first failure to giving up, pauses it asks for included.
        silent: Seconds without a byte.
    """

    failing: float = 120.0
    silent: float = 60.0


@dataclass
class Waiting:
    """Bounds the waiting within `patient`."""

    patience: Patience
    since: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def see(self, response: Any) -> None:
        """Take note of an answer to a request that the client may repeat.

        Raises:
            NetworkError: There have been failures only for too long.
        """
        now = time.monotonic()
        with self.lock:
            if response.status_code not in _REPEATED:
                self.since = None
                return
            self.since = now if self.since is None else self.since
            self._check(response, self.since)

    def repeat(self, call: Callable[[], T]) -> T:
        """Call again what a busy server sent away, though not for ever.

        Raises:
            NetworkError: It is sent away for too long.
        """
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
        logger.debug(
            "%s answers %d, for %.0f seconds now; asks to wait %.0f",
            *(response.request.url.host, response.status_code, time.monotonic() - begin, pause),
        )
        if time.monotonic() + pause - begin < self.patience.failing:
            return
        host, status = response.request.url.host, response.status_code
        if pause:
            raise NetworkError(
                f"{host} answers {status} and asks to wait {pause:.0f} seconds",
                hint=_SERVER_HINT,
            )
        raise NetworkError(f"{host} goes on answering {status}", hint=_SERVER_HINT)


def _pause(response: Any) -> float:
    """Seconds that a server asks to wait, 0 if it does not say (or gives a date).

    What the client itself obeys: `RateLimit`, which huggingface.co sends, before `Retry-After`.
    """
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    limit = parse_ratelimit_headers(response.headers) if response.status_code == 429 else None
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    text = str(response.headers.get("retry-after", ""))
    return float(text) if text.isdigit() else 0.0


@contextmanager
def patient(patience: Patience | None = None) -> Iterator[Waiting]:
    """Bound the waiting of huggingface_hub's client while the block lasts.

    Yields:
        What repeats the calls that the client itself does not repeat.

    Raises:
        NetworkError: A server fails for longer than `patience` allows.
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
def hub_errors(identifier: str, revision: str | None = None) -> Iterator[None]:
    """Turn huggingface_hub's errors about a repository into capgen's.

    Raises:
        ModelNotFoundError: No such repository or revision, or it is private or gated.
        NetworkError: The Hub cannot be reached, or refuses.
    """
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelNotFoundError(
            f"{identifier} is gated: its terms must be accepted on the Hub first",
            hint="Accept them in the browser, then log in with `capgen hub login`.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelNotFoundError(f"{identifier} has no revision '{revision}'") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelNotFoundError(
            f"No model '{identifier}' on the Hub ({constants.ENDPOINT}), or it is private",
            hint="Check the name; for a private model log in with `capgen hub login`.",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        given_up = own_error(error)
        if given_up is not None:
            raise given_up from error
        raise NetworkError(
            f"Cannot reach {constants.ENDPOINT}, and {identifier} is not in the local cache",
            hint="Go online once, or give a model folder. The bundled model needs no network.",
        ) from error
    except errors.HFValidationError as error:
        raise ModelNotFoundError(f"'{identifier}' is not a Hub id: {error}") from error
    except errors.FileMetadataError as error:
        raise NetworkError(f"{constants.ENDPOINT} does not answer as the Hub does") from error
    except errors.HTTPError as error:  # type: ignore[attr-defined]  # its HTTP library's
        raise refusal(error, identifier) from error


def refusal(error: Exception, what: str) -> NetworkError:
    """Return what an HTTP error comes to: who refused what, why, and what to do."""
    from huggingface_hub import constants

    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status in _STATUS:
        reason, hint = _STATUS[status]
        return NetworkError(f"{constants.ENDPOINT} {reason} ({status}, {what})", hint=hint)
    first_line = str(error).strip().split("\n")[0]
    hint = _SERVER_HINT if status >= 500 or not status else ""
    return NetworkError(f"{constants.ENDPOINT} failed for {what}: {first_line}", hint=hint)


def own_error(error: BaseException | None) -> CapgenError | None:
    """Find an error of capgen among the causes of another library's."""
    while error is not None:
        if isinstance(error, CapgenError):
            return error
        error = error.__cause__ or error.__context__
    return None


def find_token(given: str | None = None) -> str | None:
    """Return the token: the one given, else of the environment, else of the saved login.

    The client by itself knows the first of our variables only.

    Raises:
        UsageError: It has characters that no token has.
    """
    from huggingface_hub import get_token

    sources = (("--token", given), *((name, os.environ.get(name)) for name in TOKEN_VARIABLES))
    for source, value in sources:
        token = (value or "").strip()
        if token and not _TOKEN.fullmatch(token):
            raise UsageError(f"The token of {source} has spaces or characters that no token has")
        if token:
            return token
    return get_token()


def offline() -> bool:
    """Whether the Hub is not to be asked, or cannot be."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) or not reachable(constants.ENDPOINT)


def reachable(endpoint: str) -> bool:
    """Whether a server answers at the endpoint, found out in seconds rather than half a minute.

    False, too, where the endpoint is no address.
    """
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
    """Whether a server can have this address: http or https, and a host."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host != b"" and text.isprintable()
