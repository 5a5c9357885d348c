"""One HTTP request, its faults sorted into those worth another try and those that are not.

Built on urllib, which honours the proxy variables. Knows nothing about files or data sets.
"""

from __future__ import annotations

import email.message
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any
from urllib.parse import urlsplit

from capgen import __version__
from capgen.addresses import without_credentials
from capgen.errors import NetworkError, UsageError

_RETRIED = frozenset((408, 421, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524))


class TransientError(Exception):
    """A fault that may pass: worth another try. Never leaves the data layer.

    Args:
        message: What happened, in a few words.
        wait: Seconds the server asks to wait, if it does.
    """

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.wait = wait


class RefusedError(NetworkError):
    """The server answered, and asking again would not help.

    Args:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def request(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    token: str | None = None,
    timeout: float,
    follow: bool = True,
) -> http.client.HTTPResponse | urllib.error.HTTPError:
    """Send one request and return the open response.

    Args:
        url: An http or https address.
        method: GET or HEAD.
        headers: Further headers.
        token: Bearer token, never passed on to another host by a redirect.
        timeout: Longest silence of the socket, in seconds.
        follow: Follow redirects; otherwise a redirect is returned as it is.

    Raises:
        UsageError: The address is not a valid one of http or https.
        TransientError: Worth another try.
        RefusedError: The server refused.
        NetworkError: The server cannot be trusted, or leads to what is not an address.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise UsageError(f"{without_credentials(url)!r} is not an http or https address")
    if not _is_valid(url):
        raise UsageError(f"{without_credentials(url)!r} is not a valid address")
    asked = urllib.request.Request(url, method=method)
    asked.add_header("User-Agent", f"capgen/{__version__}")
    asked.add_header("Accept-Encoding", "identity")
    for name, value in (headers or {}).items():
        asked.add_header(name, value)
    if token:
        asked.add_unredirected_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(*(() if follow else (_NoRedirects,)))
    with network_faults(url):
        try:
            response: http.client.HTTPResponse = opener.open(asked, timeout=timeout)
        except urllib.error.HTTPError as error:
            if not follow and 300 <= error.code < 400:
                return error
            with error:
                raise _refusal(url, error) from error
    return response


@contextmanager
def network_faults(url: str) -> Iterator[None]:
    """Turn what urllib and sockets raise into TransientError or NetworkError."""
    url = without_credentials(url)
    try:
        yield
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise NetworkError(f"{url}: the server's certificate is not valid: {reason}") from error
        raise TransientError(f"cannot reach the server ({_say(reason)})") from error
    except TimeoutError as error:
        raise TransientError("the server stopped sending") from error
    except (http.client.InvalidURL, ValueError) as error:  # of a redirect, most likely
        raise NetworkError(f"{url}: leads to what is not an address ({_say(error)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"the connection broke ({_say(error)})") from error


def _is_valid(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        return False


def content_length(headers: email.message.Message) -> int | None:
    """Return the length a response declares, or None."""
    value = headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def read_small(stream: IO[bytes], limit: int = 1 << 20) -> bytes:
    """Return at most `limit` bytes of a response."""
    return stream.read(limit)


def _refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    # urllib explains redirects that it does not follow in several lines.
    said = f"{error.code} {' '.join(str(error.reason).split())}".strip()
    if error.code in _RETRIED:
        wait = _retry_after(error.headers.get("Retry-After", ""))
        return TransientError(f"the server answers {said}", wait=wait)
    hint = ""
    if error.code in (401, 403):
        hint = "The source may ask for a login; for the Hugging Face Hub run `hf auth login`."
    if error.code in (404, 410):
        hint = "The file may have moved: try another place with --mirror."
    return RefusedError(
        f"{without_credentials(url)}: the server answers {said}", status=error.code, hint=hint
    )


def _retry_after(value: str) -> float | None:
    if value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _say(reason: object) -> str:
    strerror = getattr(reason, "strerror", None)
    return str(strerror or reason or type(reason).__name__)
