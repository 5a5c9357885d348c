"""The schedule over workers that die, lag and refuse, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from capgen.captioning.batch.pipeline import BatchFinished
from capgen.distributed.caption_share import PartReused
from capgen.distributed.jobs import Policy
from capgen.distributed.plan import Part
from capgen.distributed.schedule import schedule
from capgen.distributed.schedule_events import (
    PartFailures,
    PartRetried,
    ScheduleEvent,
    Workers,
    WorkersAwaited,
)
from capgen.distributed.tasks import Task
from capgen.distributed.vouchers import PartDone
from capgen.errors import CapgenError, ModelError, StorageError
from capgen.records import CaptionFailure
from tests.scripted_workers import (
    Outcome,
    Script,
    ScriptedOutput,
    ScriptedPool,
    parts_of,
)


def takes(seconds: float) -> Script:
    return lambda worker, task: Outcome(seconds)


def run(
    items: Iterable[Part | PartReused], pool: ScriptedPool, policy: Policy | None = None
) -> tuple[ScriptedOutput, list[ScheduleEvent]]:
    output = ScriptedOutput(items)
    return output, list(schedule(output, pool, policy, pool.clock))


def kinds(events: Iterable[ScheduleEvent], kind: type) -> list[ScheduleEvent]:
    return [event for event in events if isinstance(event, kind)]


def test_every_part_is_done_once() -> None:
    pool = ScriptedPool(takes(10), places=3)
    output, events = run(parts_of(95, 10), pool)
    assert sorted(output.committed) == list(range(10))
    assert len(kinds(events, PartDone)) == 10
    finished = events[-1]
    assert isinstance(finished, BatchFinished)
    assert finished.captions == 95 and not finished.stopped
    # Ten parts on three workers, after five seconds of loading.
    assert finished.seconds == 5 + 40


def test_an_empty_list_is_done_at_once() -> None:
    output, events = run(parts_of(0, 10), ScriptedPool(takes(1)))
    assert output.commits == 0 and isinstance(events[-1], BatchFinished)


def test_parts_of_an_earlier_run_are_told() -> None:
    items = [PartReused(number=0, images=10), *parts_of(20, 10)]
    _, events = run(items, ScriptedPool(takes(1)))
    assert len(kinds(events, PartReused)) == 1 and len(kinds(events, PartDone)) == 2


def test_the_list_is_read_no_further_than_workers_are() -> None:
    pool = ScriptedPool(takes(10), places=3)
    output = ScriptedOutput(parts_of(1_000_000, 10))
    events = schedule(output, pool, clock=pool.clock)
    for done, event in enumerate(e for e in events if isinstance(e, PartDone)):
        assert isinstance(event, PartDone)
        assert output.pulled <= done + 1 + 3
        if done == 50:
            break
    assert pool.most_waited <= 2 * 3


def test_a_part_of_a_dead_worker_goes_to_another() -> None:
    seen: list[str] = []

    def script(worker: str, task: Task) -> Outcome:
        if task.part.number == 2:
            seen.append(worker)
            if len(seen) == 1:
                return Outcome(3, lost="its process died")
        return Outcome(10)

    output, events = run(parts_of(60, 10), ScriptedPool(script))
    assert sorted(output.committed) == list(range(6))
    assert len(set(seen)) == 2
    [retried] = kinds(events, PartRetried)
    assert isinstance(retried, PartRetried)
    assert (retried.number, retried.how) == (2, "again")
    assert any(isinstance(event, Workers) and event.lost for event in events)


def poison(*names: str) -> Script:
    """A script in which images kill who captions them, unless they are given up."""

    def script(worker: str, task: Task) -> Outcome:
        piece = task.piece
        if piece is not None and piece.given_up:
            return Outcome(0.1)
        units = task.part.units
        if any(unit.name in names for unit in units):
            return Outcome(1, lost="its process died")
        return Outcome(10)

    return script


def test_an_image_that_kills_is_a_record() -> None:
    pool = ScriptedPool(poison("00000017.jpg", "00000018.jpg", "00000099.jpg"))
    output, events = run(parts_of(200, 100), pool)
    assert sorted(output.committed) == [0, 1]
    records = output.committed[0]
    assert [position for position, _ in records] == list(range(100))
    crashed = [r.path for _, r in records if isinstance(r, CaptionFailure) and r.code == "crashed"]
    assert crashed == ["00000017.jpg", "00000018.jpg", "00000099.jpg"]
    assert [e.how for e in events if isinstance(e, PartRetried)][:3] == [
        *("again", "again", "in pieces")
    ]
    told = [e for e in events if isinstance(e, PartFailures) and e.failures[0].code == "crashed"]
    assert len(told) == 3


def test_a_worker_that_dies_of_something_else_costs_no_image() -> None:
    """Every worker is killed after a few tasks, whatever these are."""
    deaths = iter([True] * 3 + [False, False, True] * 200)

    def script(worker: str, task: Task) -> Outcome:
        return Outcome(1, lost="its process died") if next(deaths) else Outcome(1)

    output, _ = run(parts_of(100, 100), ScriptedPool(script, places=1))
    codes = {r.code for _, r in output.committed[0] if isinstance(r, CaptionFailure)}
    assert len(output.committed[0]) == 100 and codes == {"scripted"}


def test_machines_that_go_are_not_the_fault_of_a_part() -> None:
    deaths = iter([True] * 8)

    def script(worker: str, task: Task) -> Outcome:
        lost = task.part.number == 0 and next(deaths, False)
        return Outcome(1, lost="its machine is gone" if lost else "", crashed=False)

    output, events = run(parts_of(20, 10), ScriptedPool(script, places=1))
    assert len(output.committed) == 2
    assert {e.how for e in events if isinstance(e, PartRetried)} == {"again"}


def test_a_part_that_outlives_its_workers_is_done_in_pieces() -> None:
    def script(worker: str, task: Task) -> Outcome:
        if task.piece is None:
            return Outcome(60, lost="its machine is gone", crashed=False)
        return Outcome(2)

    output, _ = run(parts_of(100, 100), ScriptedPool(script, places=1))
    assert len(output.committed[0]) == 100


def test_a_slow_part_is_copied_at_the_end_and_the_first_one_counts() -> None:
    def script(worker: str, task: Task) -> Outcome:
        slow = worker == "worker 0" and task.part.number == 8
        return Outcome(1000 if slow else 10)

    names = iter(range(100))
    pool = ScriptedPool(script, places=2)
    pool.loading = lambda worker: Outcome(5 + next(names) * 0.1)
    output, events = run(parts_of(100, 10), pool)
    assert sorted(output.committed) == list(range(10))
    [copied] = kinds(events, PartRetried)
    assert isinstance(copied, PartRetried)
    assert (copied.number, copied.how) == (8, "copy")
    assert isinstance(events[-1], BatchFinished) and events[-1].seconds < 100
    assert events[-1].captions == 100, "what was captioned twice is counted once"


def test_a_part_with_a_copy_is_not_retried_when_one_is_lost() -> None:
    def script(worker: str, task: Task) -> Outcome:
        if worker == "worker 0" and task.part.number == 8:
            return Outcome(40, lost="its process died")
        return Outcome(30 if task.part.number == 8 else 10)

    names = iter(range(100))
    pool = ScriptedPool(script, places=2)
    pool.loading = lambda worker: Outcome(5 + next(names) * 0.1)
    output, events = run(parts_of(100, 10), pool)
    assert [e.how for e in events if isinstance(e, PartRetried)] == ["copy"]
    assert sorted(output.committed) == list(range(10))


def test_both_copies_may_be_lost() -> None:
    tries: list[str] = []

    def script(worker: str, task: Task) -> Outcome:
        if task.part.number == 8 and len(tries) < 2:
            tries.append(worker)
            return Outcome(40, lost="its process died")
        return Outcome(10)

    output, events = run(parts_of(100, 10), ScriptedPool(script, places=2))
    assert sorted(output.committed) == list(range(10))
    assert [e.how for e in events if isinstance(e, PartRetried)] == ["copy", "again"]


def test_an_error_of_the_whole_run_ends_it_at_once() -> None:
    pool = ScriptedPool(lambda w, t: Outcome(1, error=StorageError("no")), places=1)
    with pytest.raises(StorageError, match="no"):
        run(parts_of(100, 10), pool)
    assert len(pool.started) == 1


def test_a_model_that_cannot_be_loaded_ends_the_run() -> None:
    pool = ScriptedPool(takes(1), loading=lambda worker: Outcome(1, error=ModelError("no model")))
    with pytest.raises(ModelError, match="no model"):
        run(parts_of(100, 10), pool)


def test_workers_that_die_while_they_load_end_the_run() -> None:
    pool = ScriptedPool(takes(1), loading=lambda worker: Outcome(1, lost="its process died"))
    with pytest.raises(CapgenError, match="3 workers in a row died before"):
        run(parts_of(100, 10), pool)


def test_workers_that_die_while_they_load_are_borne_longer_once_one_did_not() -> None:
    deaths = iter([False, *[True] * 29, False])

    def loading(worker: str) -> Outcome:
        return Outcome(1, lost="its process died" if next(deaths, False) else "")

    first = iter([True])

    def script(worker: str, task: Task) -> Outcome:
        return Outcome(1, lost="its process died" if next(first, False) else "")

    output, _ = run(parts_of(100, 10), ScriptedPool(script, places=1, loading=loading))
    assert len(output.committed) == 10


def test_workers_with_another_model_end_the_run() -> None:
    pool = ScriptedPool(takes(1), work=lambda worker: worker.encode())
    with pytest.raises(ModelError, match="different models"):
        run(parts_of(100, 10), pool)


def test_the_first_failure_stops_the_run_if_asked() -> None:
    failure = CaptionFailure(path="x", code="scripted", message="x")

    def script(worker: str, task: Task) -> Outcome:
        return Outcome(1, failures=(failure,), stopped=True)

    output, events = run(parts_of(100, 10), ScriptedPool(script))
    finished = events[-1]
    assert isinstance(finished, BatchFinished)
    assert finished.stopped and finished.failures == {"scripted": 1} and not output.committed


def test_workers_come_as_there_is_room_and_go_when_idle() -> None:
    pool = ScriptedPool(lambda w, t: Outcome(200 if t.part.number == 49 else 10), places=2)
    original = pool.room

    def room() -> int:
        if pool.now > 60:
            pool.places = 6
        return original()

    pool.room = room  # type: ignore[method-assign]
    output, events = run(parts_of(500, 10), pool, Policy(straggling=1000))
    assert len(output.committed) == 50
    assert max(e.ready for e in events if isinstance(e, Workers)) == 6
    assert len(pool.removed) == 5, "all but the one that has something to do"


def test_a_range_of_workers_is_kept() -> None:
    pool = ScriptedPool(takes(10), places=0)  # a cluster that grows as it is asked
    _, events = run(parts_of(1000, 10), pool, Policy(least=2, most=7))
    counts = [e.ready + e.starting for e in events if isinstance(e, Workers)]
    assert max(counts) == 7 and counts[0] == 2


def test_it_is_said_when_no_worker_is_ready_for_long() -> None:
    pool = ScriptedPool(takes(1), places=1, loading=lambda worker: Outcome(70))
    _, events = run(parts_of(10, 10), pool)
    awaited = [event.seconds for event in events if isinstance(event, WorkersAwaited)]
    assert awaited == [20, 40, 60]
