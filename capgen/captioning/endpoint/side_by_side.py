"""Calls side by side, each in a thread that does not keep the process from ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(
    function: Callable[[_Item], _Result], inputs: Sequence[_Item], most: int
) -> list[_Result]:
    """Return `function` of each input, `most` at a time.

    The threads are daemons: a request that takes minutes does not keep the process from ending.
    """
    if len(inputs) == 1 and threading.current_thread().daemon:  # one of them already
        return [function(inputs[0])]
    results: list[Future[_Result]] = [Future() for _ in inputs]
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(len(inputs)):
        waiting.put(place)

    def work() -> None:
        while True:
            try:
                place = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results[place].set_result(function(inputs[place]))
            except BaseException as error:
                results[place].set_exception(error)  # even a bug: the caller must not wait forever
                return

    for _ in range(min(most, len(inputs))):
        threading.Thread(target=work, name="capgen-request", daemon=True).start()
    return [result.result() for result in results]
