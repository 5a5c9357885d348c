"""Captions a share of a list on a Ray cluster: actors with a loaded model each.

Ray starts actors, brings them their tasks and tells of their end; what they do, and what is done
when one is lost, is capgen's own schedule.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from capgen.captioning.captioner import Captioner
from capgen.captioning.runtimes.cores import usable_cores
from capgen.config import EngineOptions
from capgen.distributed.caption_on_workers import caption_on_workers
from capgen.distributed.caption_share import ShareFinished, ShareJob
from capgen.distributed.part_worker import PartWorker, WorkerJob, portable
from capgen.distributed.plan import Unit
from capgen.distributed.schedule import Policy
from capgen.distributed.schedule_events import ScheduleEvent
from capgen.distributed.tasks import (
    Report,
    Task,
    TaskDone,
    TaskFailed,
    WorkerLost,
    WorkerReady,
)
from capgen.errors import CapgenError, MissingDependencyError, NetworkError, UsageError

logger = logging.getLogger(__name__)

_RAY_VARIABLES = {
    # Nothing is told to anybody.
    "RAY_USAGE_STATS_ENABLED": "0",
    # What happens to actors is told by our own events, not by Ray on stdout.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # CUDA is left alone for actors without GPUs, as a later Ray does.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# Parts pass through Ray's store one at a time; its own default is a third of the memory.
_LOST_WITH_NODE = ("ObjectLostError", "OwnerDiedError", "NodeDiedError", "ObjectFetchTimedOutError")
_STORE_BYTES = 256 << 20


def caption_with_ray(
    load: Callable[[int], Captioner],
    units: Iterable[Unit],
    job: ShareJob,
    options: EngineOptions,
    *,
    on_gpus: bool = True,
    served: bool = False,
) -> Generator[ScheduleEvent | ShareFinished, None, None]:
    """Caption a share of a list on a Ray cluster; parts that are there are passed over.

    Args:
        load: Loads the captioner with so many threads, in each actor; it must be possible to
            pickle it.
        units: The whole list.
        job: What to do.
        options: The cluster, and how many actors of which size.
        on_gpus: Whether the model can use GPUs.
        served: Whether it is on a server: one actor asks for as much as that is to do.

    Yields:
        Events as `caption_on_workers` does.

    Raises:
        MissingDependencyError: Ray is not installed.
        NetworkError: The cluster cannot be reached.
        CapgenError: As `caption_on_workers`.
    """
    least, most = options.actor_range
    if served and options.actors is None:
        most = 1
    with _connected(options) as ray:
        cpus, gpus = _sizes(ray, options, on_gpus)
        logger.info("actors with %d cores and %g GPUs", cpus, gpus)
        run = replace(job.run, batch=replace(job.run.batch, journal=None))
        worker_job = WorkerJob(load=load, format=job.format, run=run, cores=cpus)
        pool = RayPool(ray, worker_job, cpus=cpus, gpus=gpus)
        try:
            yield from caption_on_workers(units, job, pool, Policy(least=least, most=most))
        finally:
            pool.close()


@contextmanager
def _connected(options: EngineOptions) -> Iterator[Any]:
    """Connect to the cluster, or start one on this machine."""
    with _environment():
        try:
            import ray
        except ImportError as error:
            raise MissingDependencyError("ray", extra="ray", purpose="--engine ray") from error
        ours = not ray.is_initialized()  # a program that calls this may have its own
        if ours:
            address = options.ray_address or os.environ.get("RAY_ADDRESS") or "local"
            _check_address(address)
            with _same_signals():
                _start(ray, address)
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


@contextmanager
def _environment() -> Iterator[None]:
    """Set what Ray reads when it is imported and started, unless the user has."""
    added = [name for name in _RAY_VARIABLES if name not in os.environ]
    os.environ.update({name: _RAY_VARIABLES[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _check_address(address: str) -> None:
    """Check that something listens there: Ray itself would try for minutes.

    Raises:
        UsageError: It is no address of a cluster.
        NetworkError: Nothing does.
    """
    if address.startswith("ray://"):
        raise UsageError(
            f"--ray-address {address}: Ray's client protocol is not supported",
            hint="Run capgen on a machine of the cluster (`ray job submit`), with "
            "--ray-address auto.",
        )
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--ray-address is '{address}'; it must be HOST:PORT, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise _not_reached(address, error.strerror or str(error)) from error


def _start(ray: Any, address: str) -> None:
    of_local: dict[str, Any] = {}
    if address == "local":
        of_local = {
            "num_cpus": usable_cores(),
            "object_store_memory": _STORE_BYTES,
            "include_dashboard": False,
            # Nothing else runs on this cluster that captioning should make way for.
            "_system_config": {"worker_niceness": 0},
        }
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **of_local)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()
        raise _not_reached(address, said[0] if said else type(error).__name__) from error


def _not_reached(address: str, why: str) -> NetworkError:
    return NetworkError(
        f"Ray at {address} cannot be reached ({why})",
        hint="`ray status` shows whether the cluster runs.",
    )


@contextmanager
def _same_signals() -> Iterator[None]:
    """Keep Ray from taking over what a signal does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _sizes(ray: Any, options: EngineOptions, on_gpus: bool) -> tuple[int, float]:
    """Return the cores and GPUs of an actor."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(node.get("GPU", 0) for node in nodes)
    each = options.actor_gpus
    if each is None:
        each = 1.0 if on_gpus and gpus else 0.0
    if options.actor_cpus is not None:
        return options.actor_cpus, each
    if each:
        beside = [node for node in nodes if node.get("GPU", 0) >= each]
        return min([_cores_beside(node, each) for node in beside] or [1]), each
    # More would share a model, but idle at the end of each part.
    return 1, each


def _cores_beside(node: dict[str, float], gpus: float) -> int:
    return max(1, int(node.get("CPU", 1) * gpus / node["GPU"]))


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
