"""Millions of pictures on a hundred actors, with the real plan and schedule on a clock that jumps.

    python -m tests.bench.scale_simulation [--pictures 10000000] [--actors 100] [--rate 10]
    python -m tests.bench.scale_simulation --memory

Actors crash, machines are taken away and come back, some actors are slow and so are some parts,
and a few pictures kill who reads them. The first form says for several part sizes how long it
takes beside what an ideal cluster would, how much is captioned in vain, and what the driver does.
The second captions lists of 10,000 and of 1,000,000 names from stdin into a folder on a disk, with
workers that do nothing, and compares the driver's memory.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from capgen.config import ImageLimits, InputOptions
from capgen.distributed.caption_on_workers import caption_on_workers
from capgen.distributed.caption_share import ShareJob
from capgen.distributed.jobs import Policy
from capgen.distributed.schedule import schedule
from capgen.distributed.schedule_events import PartRetried, Workers
from capgen.distributed.tasks import PartMade, Task, WorkerReady
from capgen.distributed.units import list_units
from capgen.distributed.vouchers import PartDone
from tests.scripted_workers import Outcome, ScriptedOutput, ScriptedPool, parts_of

SIZES = (100, 1_000, 10_000)


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What befalls a cluster; times are in seconds.

    Attributes:
        rate: Pictures a second of an actor.
        loading: Loading the model.
        crashes: Mean time between crashes of an actor.
        machines: Actors on a machine.
        taken: Mean time until a machine is taken away.
        back: Time until another one is there.
        slow_actors: Share of actors at a third of the rate.
        slow_parts: Share of parts at a fifth of the rate.
        killers: Pictures that kill who reads them.
    """

    rate: float = 10.0
    loading: float = 60.0
    crashes: float = 8 * 3600.0
    machines: int = 4
    taken: float = 6 * 3600.0
    back: float = 180.0
    slow_actors: float = 0.02
    slow_parts: float = 0.002
    killers: frozenset[str] = frozenset({"00123456.jpg", "04567890.jpg"})


@dataclass
class StormyPool(ScriptedPool):
    """Workers on machines that come and go."""

    weather: Weather = field(default_factory=Weather)
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    worked: float = 0.0  # pictures, also in vain
    ends: list[float] = field(default_factory=list)  # machine → when it is taken away
    at: dict[str, int] = field(default_factory=dict)  # worker → machine
    slow: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        machines = self.places // self.weather.machines
        self.ends = [self._life() for _ in range(machines)]

    def _life(self) -> float:
        return self.now + self.draw.expovariate(1 / self.weather.taken)

    def _free(self) -> list[int]:
        used = Counter(self.at[worker] for worker in self.workers)
        free = []
        for machine, end in enumerate(self.ends):
            if end + self.weather.back <= self.now:
                self.ends[machine] = self._life()
            elif end <= self.now:
                continue
            free += [machine] * (self.weather.machines - used[machine])
        return free

    def room(self) -> int:
        return len(self._free())

    def add(self) -> str:
        machine = self._free()[0]
        worker = super().add()
        self.at[worker] = machine
        if self.draw.random() < self.weather.slow_actors:
            self.slow.add(worker)
        self.lose(worker, "its machine is gone", crashed=False, at=self.ends[machine])
        return worker

    def caption(self, worker: str, task: Task) -> Outcome:
        weather = self.weather
        rate = weather.rate / (3 if worker in self.slow else 1)
        rate /= 5 if self.draw.random() < weather.slow_parts else 1
        seconds = len(task.part.units) / rate
        lost = self.draw.expovariate(1 / weather.crashes)
        if task.piece is None or not task.piece.given_up:
            names = [unit.name for unit in task.part.units]
            killed = [place for place, name in enumerate(names) if name in weather.killers]
            lost = min([lost, *(place / rate for place in killed)])
        lasting = min(seconds, lost, max(0.0, self.ends[self.at[worker]] - self.now))
        self.worked += lasting * rate
        if lost < seconds:
            return Outcome(lost, lost="its process died")
        return Outcome(seconds)


def simulate(pictures: int, actors: int, size: int, weather: Weather) -> None:
    """Simulate a run and print a line of the table."""
    pool = StormyPool(
        lambda worker, task: pool.caption(worker, task),
        places=actors,
        loading=lambda worker: Outcome(weather.loading),
        keep_started=False,
        weather=weather,
    )
    output = ScriptedOutput(parts_of(pictures, size))
    counts: Counter[str] = Counter()
    begun = time.perf_counter()
    for event in schedule(output, pool, Policy(least=1), pool.clock):
        if isinstance(event, PartRetried):
            counts[event.how] += 1
        elif isinstance(event, Workers):
            counts["lost"] += bool(event.lost)
    wall = time.perf_counter() - begun
    done = sum(len(records) for records in output.committed.values())
    assert output.commits == -(-pictures // size), done
    ideal = pictures / (actors * weather.rate)
    print(
        f"{size:>6,} | {pool.now / 3600:6.2f} h | {100 * (pool.now / ideal - 1):5.1f} % | "
        f"{100 * (pool.worked / pictures - 1):5.2f} % | {counts['lost']:5,} | "
        f"{counts['again']:5,} | {counts['copy']:4,} | {counts['in pieces']:4,} | {wall:5.0f} s | "
        f"{peak_memory():4.0f} MB | {2 * output.commits:8,}",
        flush=True,
    )


def peak_memory() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def listing(pictures: int) -> None:
    """Measure the plan alone."""
    begun = time.perf_counter()
    parts = sum(1 for _ in parts_of(pictures, 1_000))
    seconds = time.perf_counter() - begun
    print(f"listing and cutting {pictures:,} names ({parts:,} parts): {seconds:.0f} s")


@dataclass
class IdlePool(ScriptedPool):
    """Workers that return empty parts."""

    def start(self, worker: str, task: Task) -> None:
        super().start(worker, replace(task, earlier=None))

    def wait(self, seconds: float | None) -> list[WorkerReady]:  # type: ignore[override]
        return [with_records(report) for report in super().wait(seconds)]  # type: ignore[misc]


def with_records(report: object) -> object:
    made = getattr(report, "made", None)
    if not isinstance(made, PartMade):
        return report
    count = made.finished.captions
    done = PartDone(file="", digest="", sha256="", size=0, records=count, runs=[[0, count, count]])
    return replace(report, made=replace(made, done=done, data=b"{}\n" * count))  # type: ignore[type-var]


def measure_memory(names: int) -> None:
    """Caption that many names with workers that do nothing, and print this process's memory."""
    with tempfile.TemporaryDirectory() as place:
        listed = Path(place, "names")
        with listed.open("w") as file:
            file.writelines(
                f"/photos/{number // 1000}/{number:08}.jpg\n" for number in range(names)
            )
        before = peak_memory()
        pool = IdlePool(lambda worker, task: Outcome(1), places=8, keep_started=False)
        begun = time.perf_counter()
        with listed.open("rb") as stdin:
            units = list_units(["-"], InputOptions(), ImageLimits(), stdin=stdin)
            job = ShareJob(place=str(Path(place, "parts")))
            for _ in caption_on_workers(units, job, pool):
                pass
        seconds = time.perf_counter() - begun
        print(f"{names:>9,} names: {peak_memory():.1f} MB ({before:.1f} before), {seconds:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000_000)
    parser.add_argument("--actors", type=int, default=100)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--size", type=int)
    parser.add_argument("--names", type=int)
    arguments = parser.parse_args()
    itself = [sys.executable, "-m", "tests.bench.scale_simulation"]
    if arguments.names:
        measure_memory(arguments.names)
    elif arguments.memory:
        for names in (10_000, 100_000, 1_000_000):
            subprocess.run([*itself, "--names", str(names)], check=True)
    elif arguments.size:
        weather = Weather(rate=arguments.rate)
        simulate(arguments.pictures, arguments.actors, arguments.size, weather)
    else:
        print(
            f"{arguments.pictures:,} pictures, {arguments.actors} actors, {arguments.rate:g}/s each"
        )
        listing(arguments.pictures)
        print(
            "  part |     time |    over |  wasted |  lost | again | copy | pieces | driver |"
            "    mem | writes"
        )
        for size in SIZES:  # each in a process of its own, for its memory
            run = [*itself, "--size", str(size), "--pictures", str(arguments.pictures)]
            run += ["--actors", str(arguments.actors), "--rate", str(arguments.rate)]
            subprocess.run(run, check=True)


if __name__ == "__main__":
    main()
