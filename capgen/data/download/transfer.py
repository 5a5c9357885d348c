"""Fetch one file over HTTP, resuming where a killed run ended.

The bytes that have arrived are in `NAME.part`, and which file they belong to is in
`NAME.part.json`. A later call asks for the rest (Range) on condition that the file is still the
same (If-Range with its ETag).
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from capgen.addresses import without_credentials
from capgen.config import check_ranges, setting
from capgen.data.download.http import (
    RefusedError,
    TransientError,
    content_length,
    network_faults,
    request,
)
from capgen.errors import NetworkError
from capgen.paths import storage_errors, write_text

_CHUNK = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """How patient a transfer is."""

    attempts: int = setting(6, "Attempts in a row without a new byte before giving up.", low=1)
    timeout: float = setting(30.0, "Longest silence of a server, in seconds.", low=0.05)
    first_wait: float = setting(0.5, "Seconds before the first retry; doubled each time.", low=0)
    longest_wait: float = setting(30.0, "Longest wait between attempts, in seconds.", low=0)

    def __post_init__(self) -> None:
        check_ranges(self)


class StoppedError(Exception):
    """The caller asked the transfer to stop. Never leaves the data layer."""


class _ChangedError(TransientError):
    """The part belongs to a file that the server no longer has."""


@dataclass(frozen=True, kw_only=True)
class _State:
    """The file that a part belongs to."""

    url: str
    validator: str = ""
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """How a transfer reports to its caller, and is stopped by it.

    Attributes:
        progress: Called with the bytes that have arrived and the total (None if unknown).
        notice: Called with one line about a retry or a restart.
        stop: Set by the caller to end the transfer at the next chunk.
    """

    progress: Callable[[int, int | None], None]
    notice: Callable[[str], None]
    stop: threading.Event


def part_of(path: Path) -> Path:
    """Return the file of the bytes of `path` that have arrived."""
    return path.with_name(path.name + ".part")


def state_of(path: Path) -> Path:
    """Return the file that says which file the part of `path` belongs to."""
    return path.with_name(path.name + ".part.json")


def discard(path: Path) -> None:
    """Delete what has arrived of `path`."""
    part_of(path).unlink(missing_ok=True)
    state_of(path).unlink(missing_ok=True)


def arrived(path: Path) -> int:
    """Return how many bytes of `path` have arrived."""
    part = part_of(path)
    return part.stat().st_size if part.exists() else 0


def transfer(
    url: str, path: Path, watcher: Watcher, options: TransferOptions, *, token: str | None = None
) -> Path:
    """Fetch `url` into the part of `path`, resuming where an earlier call ended.

    Returns:
        The complete part; the caller checks it and renames it to `path`.

    Raises:
        RefusedError: The server refuses (404, say).
        NetworkError: The server cannot be reached, or the connection keeps breaking.
        StorageError: The disk is full or the folder cannot be written.
        StoppedError: `watcher.stop` was set.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if _read_state(path).url != url:
        discard(path)
    best, failures = arrived(path), 0
    while True:
        try:
            _attempt(url, path, watcher, options, token)
            return part_of(path)
        except TransientError as error:
            if isinstance(error, _ChangedError):
                discard(path)
            # A server that never resumes sends the old bytes again: only new ones are progress.
            failures = 1 if arrived(path) > best else failures + 1
            best = max(best, arrived(path))
            if failures >= options.attempts:
                raise NetworkError(
                    f"{without_credentials(url)}: {error.message}; gave up after {failures} tries",
                    hint="Check the connection and run the command again: it resumes from there. "
                    "If you have the files, `capgen data import` takes their folder.",
                ) from error
            wait = _wait(failures, error.wait, options)
            logger.debug("attempt %d for %s failed", failures, url, exc_info=True)
            watcher.notice(f"{path.name}: {error.message}; trying again in {wait:.1f} s")
            if watcher.stop.wait(wait):
                raise StoppedError from error


def _attempt(
    url: str, path: Path, watcher: Watcher, options: TransferOptions, token: str | None
) -> None:
    """Ask once for the missing bytes and append them."""
    state, offset = _read_state(path), arrived(path)
    if state.total is not None and offset == state.total and part_of(path).exists():
        watcher.progress(offset, state.total)
        return
    logger.info("asking for %s from byte %s", url, offset)
    headers = {}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if state.validator:
            headers["If-Range"] = state.validator
    try:
        response = request(url, headers=headers, token=token, timeout=options.timeout)
    except RefusedError as error:
        if error.status == 416 and offset:
            raise _ChangedError("the file has changed on the server; starting again") from error
        raise
    assert isinstance(response, http.client.HTTPResponse)
    with response:
        start, state = _answer(url, response, offset, state)
        if start != offset:
            watcher.notice(f"{path.name}: the server sends the whole file again")
            discard(path)  # first: the old bytes must never count as part of the new file
        write_text(state_of(path), json.dumps(asdict(state)))
        _append(response, path, start, state.total, watcher)
    done = arrived(path)
    if state.total is not None and done > state.total:
        raise _ChangedError(f"more than the announced {state.total} bytes; starting again")
    if state.total is not None and done < state.total:
        raise TransientError(f"the connection ended after {done} of {state.total} bytes")
    # Without an announced length the end of the stream is the end of the file.
    write_text(state_of(path), json.dumps(asdict(replace(state, total=done))))


def _answer(
    url: str, response: http.client.HTTPResponse, offset: int, state: _State
) -> tuple[int, _State]:
    """Return the offset of the response's bytes and the file they belong to."""
    validator = _validator(response)
    if response.status != 206:
        return 0, _State(url=url, validator=validator, total=content_length(response.headers))
    sent = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if sent is None or int(sent[1]) != offset:
        raise TransientError("the server sends a different range than requested")
    total = None if sent[2] == "*" else int(sent[2])
    changed = bool(state.validator and validator and validator != state.validator)
    if changed or (state.total is not None and total not in (None, state.total)):
        raise _ChangedError("the file has changed on the server; starting again")
    return offset, _State(url=url, validator=validator or state.validator, total=total)


def _append(
    response: http.client.HTTPResponse, path: Path, start: int, total: int | None, watcher: Watcher
) -> None:
    done = start
    with storage_errors(path), part_of(path).open("ab", buffering=0) as part:
        part.truncate(start)
        watcher.progress(done, total)
        while True:
            with network_faults(response.url or ""):
                data = response.read1(_CHUNK)
            if watcher.stop.is_set():
                raise StoppedError
            if not data:
                return
            rest = memoryview(data)
            while rest:  # a nearly full disk accepts a part of it, then raises
                rest = rest[part.write(rest) :]
            done += len(data)
            watcher.progress(done, total)


def _validator(response: http.client.HTTPResponse) -> str:
    """Return the strong ETag, else Last-Modified; If-Range does not accept weak ETags."""
    etag: str = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else str(response.headers.get("Last-Modified", ""))


def _read_state(path: Path) -> _State:
    try:
        record = json.loads(state_of(path).read_text(encoding="utf-8"))
        return _State(url=record["url"], validator=record["validator"], total=record["total"])
    except (OSError, ValueError, KeyError, TypeError):
        return _State(url="")  # nothing was begun, or the record is damaged


def _wait(failures: int, requested: float | None, options: TransferOptions) -> float:
    if requested is not None:
        return min(requested, options.longest_wait)
    wait = min(options.longest_wait, options.first_wait * 2.0 ** (failures - 1))
    return wait * random.uniform(0.5, 1.0)
