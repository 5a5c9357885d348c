"""The connection to a Ray cluster, and what size of actors suits its machines."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from capgen.captioning.runtimes.cores import usable_cores
from capgen.config import EngineOptions
from capgen.errors import MissingDependencyError, NetworkError, UsageError

_RAY_VARIABLES = {
    # Nothing is told to anybody.
    "RAY_USAGE_STATS_ENABLED": "0",
    # What happens to actors is told by our own events, not by Ray on stdout.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # CUDA is left alone for actors without GPUs, as a later Ray does.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# Parts pass through Ray's store one at a time; its own default is a third of the memory.
_STORE_BYTES = 256 << 20


@contextmanager
def connected(options: EngineOptions) -> Iterator[Any]:
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


def sizes_of_actors(ray: Any, options: EngineOptions, on_gpus: bool) -> tuple[int, float]:
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
