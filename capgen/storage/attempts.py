"""Trying again what may pass, and telling what does not."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from capgen.addresses import without_credentials, without_secrets
from capgen.errors import CapgenError, NetworkError, StorageError
from capgen.storage.faults import Fault, fault_of

logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")

# Seconds before each further attempt, up to half of it more or less.
WAITS = (0.3, 1.0, 3.0, 8.0)
# After so many seconds nothing is tried again: a store that hangs takes as long each time.
_PATIENCE = 45.0
_SAID = {
    "missing": "no such file",
    "permission": "not allowed",
    "login": "the store asks who you are",
    "passing": "the store does not answer",
    "refused": "the store refuses",
}
_LOGIN_HINT = "Log in as the store's own tools do: environment variables, or their settings file."


class StoreError(NetworkError, StorageError):
    """A store cannot be reached, or refuses.

    Args:
        address: The file or folder, for the message.
        fault: What kind of fault it is.
        detail: What the driver said.
    """

    def __init__(self, address: str, fault: Fault, detail: str = "") -> None:
        self.address = without_credentials(address)
        detail = without_secrets(detail, address)
        said = f" ({detail})" if detail and fault in ("passing", "refused") else ""
        hint = _LOGIN_HINT if fault == "login" else ""
        super().__init__(f"{self.address}: {_SAID[fault]}{said}", hint=hint)
        self.fault = fault
        self.detail = detail

    def __reduce__(self) -> tuple[type[StoreError], tuple[str, Fault, str]]:
        return StoreError, (self.address, self.fault, self.detail)


def attempt(
    address: str,
    action: Callable[[], _Result],
    *,
    stop: Event | None = None,
    waits: tuple[float, ...] = WAITS,
) -> _Result:
    """Return what an action gives, after further attempts if a fault may pass.

    Args:
        address: What it is about, for messages.
        action: Reads or writes; it may be called again.
        stop: Once it is set, nothing is tried again.
        waits: Seconds before each further attempt.

    Raises:
        StoreError: It failed.
    """
    stop = stop or Event()
    end = time.monotonic() + _PATIENCE
    for wait in (*waits, None):
        try:
            return action()
        except CapgenError:
            raise
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            said = " ".join(without_secrets(str(error), address).split())
            detail = said[:200] or type(error).__name__
            if fault != "passing" or wait is None or stop.is_set() or time.monotonic() > end:
                raise StoreError(address, fault, detail) from error
            logger.info("%s: %s; again in %.1f s", without_credentials(address), detail, wait)
            stop.wait(wait * random.uniform(0.5, 1.5))  # not all clients at once
    raise AssertionError("unreachable")
