"""A process that is told things and never waited for."""

from __future__ import annotations

import sys
import time

import pytest

from capgen.training.tracking.wandb.worker import Worker, WorkerLostError

ECHO = """
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("fail"):
        print(json.dumps({"failed": "it broke"}), flush=True)
        os._exit(3)
    print(json.dumps({"tell": f"{message['text']} {os.environ['ANSWER']}"}), flush=True)
print("no JSON")
print(4)
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a worker from source; return it and what it told."""
    workers = []

    def begin(source, tell=None):
        (tmp_path / "made_up_worker.py").write_text(source)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        told = []
        log = tmp_path / "log.txt"
        worker = Worker(
            "made_up_worker", folder=tmp_path, log=log, environment={"ANSWER": "42"},
            tell=tell or told.append,
        )  # fmt: skip
        workers.append(worker)
        return worker, told

    yield begin
    for worker in workers:
        worker.kill()


def test_messages_reach_it_and_answers_come_back(start):
    worker, told = start(ECHO)
    for number in range(500):
        worker.send("say", text=f"message {number} ä")
    assert worker.close(30)
    assert told == [f"message {number} ä 42" for number in range(500)]


def test_a_bug_in_a_thread_reaches_the_caller(start):
    def broken(text):
        raise ZeroDivisionError

    worker, told = start("""print('{"tell": "something"}')""", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        worker.close(30)
    assert "broken" in [entry.name for entry in caught.traceback]
    assert not told


def test_a_process_that_fails_says_why(start):
    worker, _ = start(ECHO)
    worker.send("say", fail=True)
    with pytest.raises(WorkerLostError, match="it broke"):
        for _ in range(1000):
            worker.send("say", text="x")
            time.sleep(0.01)
    with pytest.raises(WorkerLostError, match="it broke"):
        worker.close(30)


def test_a_process_that_dies_is_noticed(start):
    worker, _ = start("import os; os._exit(7)")
    with pytest.raises(WorkerLostError, match="code 7"):
        worker.close(30)


def test_a_process_that_takes_nothing_costs_no_time(start):
    worker, _ = start("import time; time.sleep(100)")
    begun = time.monotonic()
    with pytest.raises(WorkerLostError, match="no more messages"):
        for _ in range(30_000):
            worker.send("say", text="x" * 100)
    assert not worker.close(0.2)
    assert time.monotonic() - begun < 10
