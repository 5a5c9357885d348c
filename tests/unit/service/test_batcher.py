"""Free lanes take what waits: grouped, oldest first, never for who has gone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

import pytest

from capgen.captioning.prepare import Prepared
from capgen.captioning.runtimes.base import ModelInput
from capgen.records import Caption, Record
from capgen.service.batcher import Batcher
from capgen.service.measures import Measures


class Scripted:
    """Stands for what requests ask: remembers batches, and waits before each until it may go."""

    def __init__(self, batch_size: int = 4, bad: str = "") -> None:
        self.batch_size = batch_size
        self.bad = bad
        self.batches: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.may_go = threading.Semaphore(0)

    def caption(self, batch: Sequence[Prepared]) -> list[Record]:
        names = [item.path or "" for item in batch]
        self.batches.append(names)
        self.begun.release()
        assert self.may_go.acquire(timeout=30)
        if self.bad in names:
            raise RuntimeError(f"cannot do {self.bad}")
        return [Caption(path=name, text=name, log_probability=None, score=None) for name in names]


def image(name: str) -> Prepared:
    return Prepared(path=name, width=1, height=1, input=ModelInput(b""))


@pytest.fixture
def measures() -> Measures:
    return Measures("tiny", "")


def let(asked: Scripted, batches: int) -> None:
    for _ in range(batches):
        asked.may_go.release()


def test_what_waits_goes_together_and_the_oldest_decides(measures: Measures) -> None:
    batcher, one, two = Batcher(1, measures), Scripted(), Scripted()
    first = batcher.add(one, image("a"))  # type: ignore[arg-type]
    assert one.begun.acquire(timeout=30)  # the lane is busy: the others wait
    others = [batcher.add(one, image(name)) for name in "bc"]  # type: ignore[arg-type]
    other = batcher.add(two, image("x"))  # type: ignore[arg-type]
    others += [batcher.add(one, image(name)) for name in "defg"]  # type: ignore[arg-type]
    let(one, 10)
    let(two, 10)
    assert first.result(30).path == "a" and other.result(30).path == "x"
    assert [each.result(30).path for each in others] == [*"bcdefg"]
    assert one.batches == [["a"], [*"bcde"], [*"fg"]] and two.batches == [["x"]]
    batcher.close()


def test_an_image_without_a_client_is_not_captioned(measures: Measures) -> None:
    batcher, asked = Batcher(1, measures), Scripted()
    first = batcher.add(asked, image("a"))  # type: ignore[arg-type]
    assert asked.begun.acquire(timeout=30)
    gone, kept = (batcher.add(asked, image(name)) for name in "bc")  # type: ignore[arg-type]
    assert gone.cancel()
    let(asked, 2)
    assert first.result(30).path == "a" and kept.result(30).path == "c"
    assert asked.batches == [["a"], ["c"]]
    batcher.close()


def test_an_error_is_of_its_image_alone(measures: Measures) -> None:
    batcher, asked = Batcher(1, measures), Scripted(bad="c")
    first = batcher.add(asked, image("a"))  # type: ignore[arg-type]
    assert asked.begun.acquire(timeout=30)
    good, bad = (batcher.add(asked, image(name)) for name in "bc")  # type: ignore[arg-type]
    let(asked, 10)
    assert first.result(30).path == "a" and good.result(30).path == "b"
    with pytest.raises(RuntimeError, match="cannot do c"):
        bad.result(30)
    assert asked.batches == [["a"], ["b", "c"], ["b"], ["c"]]
    again = batcher.add(asked, image("d"))  # type: ignore[arg-type]
    assert again.result(30).path == "d", "the lane goes on"
    batcher.close()


def test_closing_cancels_what_waits(measures: Measures) -> None:
    batcher, asked = Batcher(1, measures), Scripted()
    first = batcher.add(asked, image("a"))  # type: ignore[arg-type]
    assert asked.begun.acquire(timeout=30)
    waits = batcher.add(asked, image("b"))  # type: ignore[arg-type]
    batcher.close()
    late = batcher.add(asked, image("c"))  # type: ignore[arg-type]
    let(asked, 1)
    assert first.result(30).path == "a"
    for each in (waits, late):
        with pytest.raises(CancelledError):
            each.result(30)


def test_two_lanes_work_at_the_same_time(measures: Measures) -> None:
    batcher, asked = Batcher(2, measures), Scripted()
    both = [batcher.add(asked, image("a"))]  # type: ignore[arg-type]
    assert asked.begun.acquire(timeout=30)
    both.append(batcher.add(asked, image("b")))  # type: ignore[arg-type]
    assert asked.begun.acquire(timeout=30), "the second lane waited for the first"
    let(asked, 2)
    assert [each.result(30).path for each in both] == ["a", "b"]
    batcher.close()
