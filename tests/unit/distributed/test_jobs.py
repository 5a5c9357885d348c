"""When parts on their way are tried again."""

from __future__ import annotations

from dataclasses import replace

from capgen.distributed.isolation import Isolation
from capgen.distributed.jobs import Job, Policy, Stragglers
from capgen.distributed.tasks import Task, WorkerLost
from tests.scripted_workers import parts_of

POLICY = Policy(crashes=2, losses=3)
[PART] = parts_of(100, 100)


def job(**changes: object) -> Job:
    return replace(Job(Task(part=PART)), **changes)


def lost(*, crashed: bool) -> WorkerLost:
    return WorkerLost(worker="a", reason="it is gone", crashed=crashed)


def test_a_part_goes_into_pieces_when_it_has_ended_too_many_workers() -> None:
    for crashed, times in ((True, POLICY.crashes), (False, POLICY.losses)):
        one = job()
        found = [one.lose_worker(lost(crashed=crashed), POLICY) for _ in range(times)]
        assert found == ["again"] * (times - 1) + ["in pieces"]
        assert one.isolation is not None


def test_a_piece_gets_smaller_at_each_crash_and_at_every_few_machines() -> None:
    one = job(isolation=Isolation(Task(part=PART)))
    sizes = []
    # The first machine, which was lost on its own, says nothing of the piece.
    for crashed in (False, True, False, False):
        assert one.lose_worker(lost(crashed=crashed), POLICY) is None
        sizes.append(len(one.next_task.part.units))
    whole = sizes[0]
    assert sizes == [whole, whole // 2, whole // 2, whole // 4]


def test_the_slowest_part_that_is_captioned_once_and_whole_is_found() -> None:
    stragglers = Stragglers(Policy(straggling=2.0))
    slow, slower = job(begun={"a": 5.0}), job(begun={"b": 1.0})
    others = [
        job(begun={"c": 0.0, "d": 0.5}),
        job(begun={"e": 0.0}, isolation=Isolation(Task(part=PART))),
        job(begun={"f": 0.0}, done=True),
        job(),
    ]
    assert stragglers.first([slow, slower]) is None
    for seconds in (1.0, 4.0, 90.0):
        stragglers.add(seconds)
    assert stragglers.first([*others, slow, slower]) == (slower, 9.0)
    assert stragglers.first(others) is None
