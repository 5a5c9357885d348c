"""Asks a model server: again after faults that pass, within its limits, for a time.

A fault of one image is a `NoCaption`; a fault of the server or of what it was told ends the run.
"""

from __future__ import annotations

import logging
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from capgen.captioning.abandoning import unless_stopped
from capgen.captioning.endpoint.address import Address
from capgen.captioning.endpoint.answers import Answer, error_text, read_answer
from capgen.captioning.endpoint.http import (
    AnswerTooLargeError,
    BrokenExchangeError,
    Connections,
    Response,
)
from capgen.captioning.endpoint.pace import Pace
from capgen.captioning.endpoint.requests import Dialect, encoded
from capgen.captioning.runtimes.base import NoCaption
from capgen.config import KEY_VARIABLE, EndpointOptions
from capgen.errors import EndpointError, NetworkError
from capgen.retry_after import retry_after

logger = logging.getLogger(__name__)

REFUSED, UNAVAILABLE = "endpoint", "unavailable"
# Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
# Somebody who is asked to wait longer would rather know.
_LONGEST_WAIT = 600.0
_PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529))
# With these a server refuses one request, as far as can be told.
_OF_THE_IMAGE = frozenset((400, 413, 415, 422))
_NOT_OFFERED = (404, 405, 501)
_MODERATED = re.compile(r"moderat|flagged|content.?(policy|filter|management)|safety", re.I)
_NO_CREDIT = re.compile(r"insufficient_quota|billing|credit", re.I)
# After so many images in a row that failed for passing reasons, the server is not coming back.
_IN_A_ROW = 8
_POLL_SECONDS = 0.1  # how often to check whether to stop
_AGAIN = "Run the same command again: it goes on where it stopped."


class ImageRefusedError(Exception):
    """There is no caption of one image; `why` says why. Never leaves the endpoint package."""

    def __init__(self, why: NoCaption) -> None:
        super().__init__(why.message)
        self.why = why


class Client:
    """Asks one server. Thread-safe."""

    def __init__(self, address: Address, options: EndpointOptions) -> None:
        self.address = address
        self.dialect = Dialect()
        self._options = options
        self._connections = Connections(address, options.timeout)
        self._pace = Pace(options.requests_per_minute, options.tokens_per_minute)
        self._slots = threading.Semaphore(options.concurrency)
        self._in_a_row = max(_IN_A_ROW, 2 * options.concurrency)
        self._lock = threading.Lock()
        self._met = False  # whether there ever was a connection
        self._failed = 0  # images in a row

    def models(self) -> list[str] | None:
        """Return the names of the server's models, or None if it does not tell.

        Raises:
            NetworkError: It cannot be reached.
            EndpointError: It refuses.
        """
        stop = threading.Event()
        try:
            response = unless_stopped(
                stop,
                lambda: self._tried(lambda: self._connections.exchange("GET", "/models"), stop),
                cancelled=EndpointError("cancelled"),
                thread="capgen-endpoint",
            )
        except _PassingError as fault:
            raise NetworkError(f"{self.address.shown} failed ({fault.message})") from fault
        except AnswerTooLargeError:
            return None
        if response.status in (401, 403):
            raise self._refusal(response)
        if response.status != 200:
            return None
        content = response.json()
        items = content.get("data") if isinstance(content, dict) else None
        if not isinstance(items, list):
            return None
        names = [item.get("id") for item in items if isinstance(item, dict)]
        return [name for name in names if isinstance(name, str) and name.isprintable()]

    def complete(self, make: Callable[[], dict[str, Any]], stop: threading.Event) -> Answer:
        """Send a request and return the answer.

        Args:
            make: Makes the request, anew after the server refused a part of it.
            stop: Set when the answer is no longer needed.

        Raises:
            ImageRefusedError: There is no answer to this request.
            NetworkError: The server cannot be reached.
            EndpointError: It refuses this and all other requests.
        """
        while True:
            payload = make()
            content = encoded(payload)
            try:
                response = self._tried(partial(self._post, content, stop), stop)
            except _PassingError as fault:
                self._count_failure(fault.message)
                message = f"the server failed ({fault.message})"
                raise ImageRefusedError(NoCaption(UNAVAILABLE, message, _AGAIN)) from fault
            except AnswerTooLargeError as error:
                message = "the server's answer is too large"
                raise ImageRefusedError(NoCaption(REFUSED, message)) from error
            with self._lock:
                self._failed = 0
            if response.status == 200:
                answer = read_answer(response.json())
                assert answer is not None
                return answer
            if not self.dialect.learn(error_text(response.json())[1], payload):
                break
        raise self._refusal(response)

    def _post(self, content: bytes, stop: threading.Event) -> Response:
        with self._slot(stop):
            ticket = self._pace.wait(stop)
            if ticket is None:
                raise EndpointError("cancelled")
            response = self._connections.exchange("POST", "/chat/completions", content)
        if response.status == 200:
            answer = read_answer(response.json())
            if answer is None:
                raise self._garbage(response)
            if answer.usage is not None:
                self._pace.answered(ticket, answer.usage.total)
        return response

    @contextmanager
    def _slot(self, stop: threading.Event) -> Iterator[None]:
        """Wait until fewer requests are in flight than may be."""
        while not self._slots.acquire(timeout=_POLL_SECONDS):
            if stop.is_set():
                raise EndpointError("cancelled")
        try:
            yield
        finally:
            self._slots.release()

    def _garbage(self, response: Response) -> Exception:
        """Return what a 200 without an answer means: some servers report errors that way."""
        code, message = error_text(response.json())
        if not message:
            return _PassingError("its answer is not of the chat protocol")
        if code.isdecimal() and int(code) not in (200, *_PASSING):
            return self._refusal(Response(int(code), response.headers, response.body))
        return _PassingError(message)

    def _tried(self, exchange: Callable[[], Response], stop: threading.Event) -> Response:
        """Return the response of an exchange, repeated while it fails for passing reasons.

        Raises:
            _PassingError: It failed to the end.
        """
        for attempt in range(self._options.retries + 1):
            try:
                return self._passed(exchange)
            except _PassingError as fault:
                wait = fault.wait
                longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
                last = attempt == self._options.retries or stop.is_set()
                logger.debug(
                    "%s: %s (attempt %d of %d)%s",
                    *(self.address.shown, fault.message, attempt + 1, self._options.retries + 1),
                    "" if wait is None else f"; it asks to wait {wait:.0f} s",
                )
                if wait is not None:
                    self._pause(wait)
                if last:
                    raise
            jitter = random.uniform(0.0, longest / 2)
            stop.wait(longest / 2 + jitter if wait is None else wait + min(jitter, 1.0))
        raise AssertionError("unreachable")

    def _passed(self, exchange: Callable[[], Response]) -> Response:
        """Return a response, unless its status is one of a fault that may pass."""
        try:
            response = exchange()
        except BrokenExchangeError as error:
            if not error.connected and not self._met:
                raise NetworkError(
                    f"Cannot reach {self.address.shown} ({error.message})",
                    hint="Is the server running? Check --endpoint: host, port and path.",
                ) from error
            self._met = self._met or error.connected
            raise _PassingError(error.message) from error
        self._met = True
        if response.status not in _PASSING:
            return response
        code, message = error_text(response.json())
        if response.status == 429 and _NO_CREDIT.search(f"{code} {message}"):
            return response
        wait = retry_after(response.headers.get("Retry-After", ""))
        raise _PassingError(f"{response.status} {message}".strip(), wait=wait)

    def _pause(self, wait: float) -> None:
        if wait > _LONGEST_WAIT:
            raise EndpointError(
                f"{self.address.shown} asks to wait {wait / 60:.0f} minutes", hint=_AGAIN
            )
        self._pace.pause(wait)

    def _count_failure(self, message: str) -> None:
        with self._lock:
            self._failed += 1
            failed = self._failed
        if failed >= self._in_a_row:
            raise EndpointError(
                f"{self.address.shown} failed for {failed} images in a row ({message})", hint=_AGAIN
            )

    def _refusal(self, response: Response) -> Exception:
        """Return the error of a status: of the image, or of the run."""
        status, (code, message) = response.status, error_text(response.json())
        answer = f"{status}{f': {message}' if message else ''}"
        moderated = status == 403 and _MODERATED.search(f"{code} {message}")
        if status in _OF_THE_IMAGE or moderated:
            return ImageRefusedError(NoCaption(REFUSED, f"the server refuses it ({answer})"))
        hint = ""
        if status in (401, 403):
            hint = f"Set the environment variable {KEY_VARIABLE} to a key that it accepts."
        elif status in _NOT_OFFERED:
            hint = self._what_there_is()
        return EndpointError(f"{self.address.shown} refuses ({answer})", hint=hint)

    def _what_there_is(self) -> str:
        """Return a hint for a wrong path or model: the models, if the server tells."""
        try:
            response = self._connections.exchange("GET", "/models")
            names = [str(item["id"]) for item in response.json()["data"]]
        except (BrokenExchangeError, AnswerTooLargeError, NetworkError, KeyError, TypeError):
            return "Check --endpoint; most servers' addresses end in /v1."
        return f"Check --model; the server has {', '.join(names[:10]) or 'none'}."


class _PassingError(Exception):
    """A fault that may pass.

    Args:
        message: What happened, in a few words.
        wait: Seconds that the server asks to wait, if any.
    """

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.wait = wait
