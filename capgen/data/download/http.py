"""One HTTP request, with its faults sorted into those worth a retry and those that are not.

Built on urllib, which honours the proxy variables.
"""

from __future__ import annotations

import email.message
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from capgen import __version__
from capgen.addresses import without_credentials
from capgen.errors import NetworkError, UsageError
from capgen.retry_after import retry_after

_RETRIED = frozenset((408, 421, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524))


class TransientError(Exception):
    """A fault that may pass, so a retry is worthwhile. Never leaves the data layer.

    Args:
        message: What happened, in a few words.
        wait: Seconds that the server asks to wait, if any.
    """

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.wait = wait


class RefusedError(NetworkError):
    """The server answered with this HTTP status, and a retry would not help."""

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
        token: Bearer token, which is never sent to another host after a redirect.
        timeout: Longest silence of the socket, in seconds.
        follow: Follow redirects instead of returning them.

    Raises:
        UsageError: The address is not a valid http or https address.
        TransientError: A retry may help.
        RefusedError: The server refused.
        NetworkError: The certificate is not valid, or a redirect leads to an invalid address.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise UsageError(f"{without_credentials(url)!r} is not an http or https address")
    if not _is_valid(url):
        raise UsageError(f"{without_credentials(url)!r} is not a valid address")
    own = {"User-Agent": f"capgen/{__version__}", "Accept-Encoding": "identity"}
    prepared = urllib.request.Request(url, headers=own | dict(headers or {}), method=method)
    if token:
        prepared.add_unredirected_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(*(() if follow else (_NoRedirects,)))
    with network_faults(url):
        try:
            response: http.client.HTTPResponse = opener.open(prepared, timeout=timeout)
        except urllib.error.HTTPError as error:
            if not follow and 300 <= error.code < 400:
                return error
            with error:
                raise _refusal(url, error) from error
    return response


@contextmanager
def network_faults(url: str) -> Iterator[None]:
    """Turn the exceptions of urllib and sockets into TransientError or NetworkError."""
    url = without_credentials(url)
    try:
        yield
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise NetworkError(f"{url}: the server's certificate is not valid: {reason}") from error
        raise TransientError(f"cannot reach the server ({_reason(reason)})") from error
    except TimeoutError as error:
        raise TransientError("the server stopped sending") from error
    except (http.client.InvalidURL, ValueError) as error:  # most likely of a redirect
        raise NetworkError(f"{url}: leads to an invalid address ({_reason(error)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"the connection broke ({_reason(error)})") from error


def _is_valid(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        return False


def content_length(headers: email.message.Message) -> int | None:
    """Return the length that a response declares, or None."""
    value = headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def _refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    # urllib's reason has several lines for redirects that it does not follow.
    answer = f"the server answered {error.code} {' '.join(str(error.reason).split())}".strip()
    if error.code in _RETRIED:
        return TransientError(answer, wait=retry_after(error.headers.get("Retry-After", "")))
    hint = ""
    if error.code in (401, 403):
        hint = "The source may need a login; for the Hugging Face Hub run `hf auth login`."
    if error.code in (404, 410):
        hint = "The file may have moved: try another source with --mirror."
    return RefusedError(f"{without_credentials(url)}: {answer}", status=error.code, hint=hint)


def _reason(error: object) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
