"""Work in a thread that can be left to itself."""

from __future__ import annotations

import threading

import pytest

from capgen.captioning.abandoning import unless_stopped


class CalledOffError(Exception):
    pass


def test_the_result_and_the_error_are_the_works() -> None:
    stop = threading.Event()
    assert unless_stopped(stop, lambda: 3, cancelled=CalledOffError(), thread="work") == 3
    with pytest.raises(ZeroDivisionError):
        unless_stopped(stop, lambda: 1 // 0, cancelled=CalledOffError(), thread="work")


def test_it_is_left_to_itself_once_it_is_stopped() -> None:
    stop, free = threading.Event(), threading.Event()

    def work() -> bool:
        stop.set()
        return free.wait(60)

    with pytest.raises(CalledOffError):
        unless_stopped(stop, work, cancelled=CalledOffError(), thread="work")
    free.set()


def test_it_is_not_begun_after_the_stop() -> None:
    stop, begun = threading.Event(), threading.Event()
    stop.set()
    with pytest.raises(CalledOffError):
        unless_stopped(stop, begun.set, cancelled=CalledOffError(), thread="work")
    assert not begun.is_set()
