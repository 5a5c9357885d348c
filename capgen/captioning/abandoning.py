"""Work that cannot be interrupted, in a thread that is abandoned when the run ends.

The interpreter waits for the threads of a pool before it ends, but not for daemon threads: one
that is blocked in a system call must not keep the process alive after Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

_Result = TypeVar("_Result")
_POLL_SECONDS = 0.1  # how often to check whether to stop


def unless_stopped(
    stop: threading.Event, work: Callable[[], _Result], *, cancelled: Exception, thread: str
) -> _Result:
    """Return what `work` returns, or raise what it raises.

    Args:
        stop: Set when the result is no longer needed; `work` is then left to itself.
        work: What may block for ever.
        cancelled: Raised once `stop` is set.
        thread: The name of the thread.

    Raises:
        Exception: What `work` raised, or `cancelled`.
    """
    if stop.is_set():
        raise cancelled
    content: Future[_Result] = Future()

    def run() -> None:
        try:
            content.set_result(work())
        except BaseException as error:
            content.set_exception(error)  # even a bug: the caller must not wait forever

    threading.Thread(target=run, name=thread, daemon=True).start()
    while not stop.is_set():
        if wait((content,), timeout=_POLL_SECONDS).done:
            return content.result()
    raise cancelled
