"""Whoever watches learns how another process ended, and does not hang when it has."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from capgen.training.processes.connections import connect
from capgen.training.processes.watch import DIED, FAILED, LEFT, End, Watch


def three_watches():
    """Return the watches of three processes: 0, 1 and 2."""
    to_one, from_one = socket.socketpair()
    to_two, from_two = socket.socketpair()
    watches = [Watch(0, {1: to_one, 2: to_two}), Watch(1, {0: from_one}), Watch(2, {0: from_two})]
    return watches, (to_one, from_one, to_two, from_two)


@pytest.fixture(autouse=True)
def pairs_have_no_keepalive(monkeypatch):
    """Socket pairs of tests are no TCP connections."""
    monkeypatch.setattr("capgen.training.processes.watch._KEEPALIVE", {})


def test_all_learn_that_a_process_died():
    watches, (_, _, _, from_two) = three_watches()
    assert watches[0].lost is None
    from_two.shutdown(socket.SHUT_RDWR)  # as the system does for a dead process
    assert watches[0].wait(10) == End(2, DIED)
    assert watches[1].wait(10) == End(2, DIED)
    for watch in watches:
        watch.leave(FAILED)


@pytest.mark.parametrize("how", [FAILED, LEFT])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_says_how_it_ends(how, rank):
    watches, _ = three_watches()
    watches[rank].leave(how)
    others = [watch for watch in watches if watch.rank != rank]
    assert [watch.wait(10) for watch in others] == [End(rank, how)] * 2
    for watch in others:
        watch.leave(LEFT)


HANGING = """
import socket, threading
from capgen.training.processes import watch
watch._KEEPALIVE = {}
here, there = socket.socketpair()
watching = watch.Watch(1, {0: here}, patience=0.1)
there.close()
threading.Event().wait(60)  # as a collective operation on GPUs does
"""


def test_a_process_that_hangs_is_ended_with_a_message():
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: Process 0 of the run has ended, and process 1 hangs")
    assert "--resume" in done.stderr


class Meeting:
    """Gathers what several threads give, as processes do."""

    def __init__(self, count):
        self.barrier = threading.Barrier(count)
        self.parts = [None] * count
        self.count = count

    def of(self, rank):
        def gather(part):
            self.barrier.wait(20)
            self.parts[rank] = part
            self.barrier.wait(20)
            found = list(self.parts)
            self.barrier.wait(20)
            return found

        return gather


def test_processes_connect_and_strangers_do_not(monkeypatch):
    """The first address that answers is taken; who does not know the secret is sent away."""
    meeting, found = Meeting(2), {}
    monkeypatch.setattr(
        "capgen.training.processes.connections._addresses", lambda: ["nowhere.invalid", "127.0.0.1"]
    )

    def work(rank):
        gather = meeting.of(rank)

        def gather_beside_a_stranger(part):
            parts = gather(part)
            if parts[0] and parts[0] is not True:
                with socket.create_connection(("127.0.0.1", parts[0][0]), timeout=10) as stranger:
                    stranger.sendall(b"guess 1\n")
                    assert stranger.recv(64) == b""
            return parts

        given = gather_beside_a_stranger if rank else gather
        found[rank] = connect(rank, 2, given, same_machine=False)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(found[0]) == {1}
    assert set(found[1]) == {0}
    found[0][1].sendall(b"hello")
    assert found[1][0].recv(5) == b"hello"
    for side in (found[0][1], found[1][0]):
        side.close()


def test_a_process_that_cannot_connect_is_not_watched(monkeypatch):
    meeting, found = Meeting(2), {}
    monkeypatch.setattr("capgen.training.processes.connections._addresses", list)

    def work(rank):
        found[rank] = connect(rank, 2, meeting.of(rank), same_machine=False)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {0: {}, 1: {}}
