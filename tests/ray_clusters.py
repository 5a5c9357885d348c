"""Ray clusters on this machine, and what can be done to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STORE = 80 << 20
_OF_THE_CLUSTER = {
    "worker_niceness": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 4,
}


def until(
    condition: Callable[[], bool],
    *,
    of: subprocess.Popen[Any] | None = None,
    seconds: float = 120.0,
) -> None:
    """Wait for a condition; fail if a process ends before, or it takes very long."""
    end = time.monotonic() + seconds
    while not condition():
        assert of is None or of.poll() is None, "the process ended before"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


@contextmanager
def cluster(nodes: int, cpus: int = 1) -> Iterator[Any]:
    """Run a cluster of nodes with so many cores each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    running = Cluster()
    try:
        for node in range(nodes):
            # Actors are not to make way for other tests; a machine that is gone is missed soon.
            add_node(running, cpus, **({} if node else {"_system_config": _OF_THE_CLUSTER}))
        yield running
    finally:
        running.shutdown()


def add_node(running: Any, cpus: int = 1, **more: Any) -> Any:
    return running.add_node(
        num_cpus=cpus, object_store_memory=STORE, include_dashboard=False, **more
    )


def actors(running: Any) -> dict[int, Any]:
    """Return the processes of the cluster's actors, and the node of each."""
    raylets = {
        process.process.pid: node
        for node in running.list_all_nodes()
        for process in node.all_processes.get("raylet", ())
    }
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            title = (entry / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
        if parent in raylets and title.startswith(b"ray::CaptionActor"):
            found[int(entry.name)] = raylets[parent]
    return found


def start_driver(*arguments: object, log: Path) -> subprocess.Popen[bytes]:
    """Start tests.ray_driver, with its output in a file."""
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.ray_driver", *map(str, arguments)],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parent.parent,
        )


def vouchers(output: Path) -> int:
    folder = output / "_parts"
    return len(list(folder.glob("*.json"))) if folder.is_dir() else 0


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
