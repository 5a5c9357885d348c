"""Actors on a Ray cluster that caption parts: what begins, feeds and ends them, and an actor."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from capgen.distributed.part_worker import PartWorker, WorkerJob, portable
from capgen.distributed.tasks import (
    Report,
    Task,
    TaskDone,
    TaskFailed,
    WorkerLost,
    WorkerReady,
)
from capgen.errors import CapgenError, NetworkError

logger = logging.getLogger(__name__)
# Names of errors.
_LOST_WITH_NODE = ("ObjectLostError", "OwnerDiedError", "NodeDiedError", "ObjectFetchTimedOutError")


class RayPool:
    """Actors on a Ray cluster.

    Args:
        ray: The module.
        job: What each worker does.
        cpus: Cores of each.
        gpus: GPUs of each.
    """

    def __init__(self, ray: Any, job: WorkerJob, *, cpus: int, gpus: float) -> None:
        self._ray = ray
        self._needs = {"CPU": float(cpus), "GPU": gpus}
        kind = ray.remote(CaptionActor)
        # One that dies is replaced by the schedule, which knows what it had to do.
        self._kind = kind.options(num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0)
        self._job = ray.put(job)
        self._folder = os.getcwd()  # noqa: PTH109
        self._actors: dict[str, Any] = {}
        self._waited: dict[Any, str] = {}  # what it will return → the worker
        self._loaded: set[str] = set()
        self._begun = 0

    def add(self) -> str:
        self._begun += 1
        worker = f"actor {self._begun}"
        actor = self._kind.remote()
        self._actors[worker] = actor
        self._waited[actor.load.remote(self._job, self._folder)] = worker
        return worker

    def room(self) -> int:
        there = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                fits = [
                    node["Resources"].get(name, 0) // need
                    for name, need in self._needs.items()
                    if need
                ]
                there += int(min(fits))
        return max(0, there - len(self._actors))

    def start(self, worker: str, task: Task) -> None:
        self._waited[self._actors[worker].do.remote(task)] = worker

    def remove(self, worker: str) -> None:
        self._forget(worker)

    def wait(self, seconds: float | None) -> Sequence[Report]:
        waited = list(self._waited)
        done, _ = self._ray.wait(waited, num_returns=1, timeout=seconds)
        if done:
            done, _ = self._ray.wait(waited, num_returns=len(waited), timeout=0)
        return [self._report(ref, self._waited.pop(ref)) for ref in done]

    def close(self) -> None:
        for worker in list(self._actors):
            self._forget(worker)

    def _forget(self, worker: str) -> None:
        with suppress(Exception):  # it may be dead, or the cluster
            self._ray.kill(self._actors[worker])
        del self._actors[worker]
        for ref in [ref for ref, owner in self._waited.items() if owner == worker]:
            del self._waited[ref]

    def _report(self, ref: Any, worker: str) -> Report:
        errors = self._ray.exceptions
        try:
            said = self._ray.get(ref)
        except errors.RayTaskError as error:  # it does not get as far as our own code
            cause = error.cause if isinstance(error.cause, Exception) else error
            return TaskFailed(worker=worker, error=_cannot_start(cause))
        except (errors.LocalRayletDiedError, errors.RaySystemError) as error:
            return TaskFailed(worker=worker, error=_no_cluster(error))
        except errors.RayError as error:
            if getattr(error, "actor_init_failed", False):
                return TaskFailed(worker=worker, error=_cannot_start(error))
            self._forget(worker)
            return _loss(worker, error)
        if isinstance(said, Exception):
            return TaskFailed(worker=worker, error=said)
        if worker not in self._loaded:
            self._loaded.add(worker)
            work, notes = said
            return WorkerReady(worker=worker, work=work, notes=notes)
        return TaskDone(worker=worker, made=said)


def _loss(worker: str, error: Exception) -> WorkerLost:
    text, kind = str(error), type(error).__name__
    logger.info("%s: %s", worker, text)
    if kind == "OutOfMemoryError" or "running low on memory" in text:
        return WorkerLost(worker=worker, reason="its machine is short of memory", crashed=True)
    if kind in _LOST_WITH_NODE or "node has died" in text or "node died" in text.lower():
        return WorkerLost(worker=worker, reason="its machine is gone", crashed=False)
    if kind == "ActorUnavailableError":
        # So begins the end of a machine, which Ray is sure of only later.
        return WorkerLost(worker=worker, reason="it cannot be reached", crashed=False)
    return WorkerLost(worker=worker, reason="its process died", crashed=True)


def _cannot_start(error: Exception) -> CapgenError:
    said = str(error).strip().splitlines()
    return CapgenError(
        f"A worker cannot start: {said[-1] if said else type(error).__name__}",
        hint="All machines of the cluster need capgen, in the same version.",
    )


def _no_cluster(error: Exception) -> NetworkError:
    return NetworkError(
        f"The Ray cluster is gone ({type(error).__name__})",
        hint="Start the same command again: parts that are done are kept.",
    )


class CaptionActor:
    """A worker in a process of Ray. What goes wrong is returned: Ray would wrap it."""

    def __init__(self) -> None:
        self._worker: PartWorker | None = None

    def load(self, job: WorkerJob, folder: str) -> tuple[bytes, tuple[str, ...]] | Exception:
        with suppress(OSError):  # elsewhere, names that begin here do not exist
            os.chdir(folder)
        try:
            self._worker = PartWorker(job)
        except Exception as error:
            return portable(error)
        return self._worker.work, self._worker.notes

    def do(self, task: Task) -> Any:
        assert self._worker is not None
        try:
            return self._worker.do(task)
        except Exception as error:
            return portable(error)
