"""A Ray cluster of three nodes whose actors, nodes and drivers are killed; and what Ray costs.

    python -m tests.bench.ray_cluster FOLDER [--every 5] [--part-size 100]
    python -m tests.bench.ray_cluster FOLDER --cost [--rounds 2]

The first form captions the pictures of a folder while an actor is killed every few seconds, a node
is removed and one added, and the driver is killed twice and started again. It checks that the
merged output has the bytes of one process's. The second runs one process and Ray on as many cores
side by side, `capgen caption --part-size` and the same with `--engine ray`.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from capgen.captioning.runtimes.cores import usable_cores
from tests.ray_clusters import actors, add_node, cluster, kill, until, vouchers

CAPTION = (sys.executable, "-m", "capgen", "caption")


def command(folder: Path, output: Path, size: int, *more: str) -> list[str]:
    where = (str(folder), "-r", "-o", str(output), "--part-size", str(size))
    return [*CAPTION, *where, "--fail-on", "none", *more]


def merge(output: Path) -> bytes:
    file = output.with_suffix(".jsonl")
    merging = (sys.executable, "-m", "capgen", "merge", str(output), "-o", str(file))
    subprocess.run(merging, check=True)
    return file.read_bytes()


def survive(folder: Path, place: Path, size: int, every: float) -> None:
    """Caption a folder while things are killed, and compare with one process's output."""
    output = place / "ray"
    ended = threading.Event()
    killed: list[int] = []

    with cluster(3) as running:
        ray = ("--engine", "ray", "--ray-address", running.address, "--actors", "1:3")
        asked = command(folder, output, size, *ray, "--actor-cpus", "1")

        def killing() -> None:
            draw = random.Random(0)
            while not ended.wait(every):
                alive = sorted(actors(running))
                if alive:
                    killed.append(draw.choice(alive))
                    kill(killed[-1])

        def wait_for(parts: int) -> None:
            until(lambda: vouchers(output) >= parts, of=driver, seconds=600)

        begun = time.monotonic()
        driver = subprocess.Popen(asked)
        killer = threading.Thread(target=killing)
        killer.start()
        try:
            seen = 0
            for number in range(2):
                wait_for(seen + 5)
                add_node(running)
                until(lambda: bool(actors(running)), of=driver, seconds=600)
                if number == 0:
                    head = running.head_node
                    away = next(n for n in running.list_all_nodes() if n is not head)
                    running.remove_node(away, allow_graceful=False)
                    print("a node is removed, one added", flush=True)
                wait_for(seen + 10)
                driver.kill()
                driver.wait()
                seen = vouchers(output)
                print(f"the driver is killed with {seen} parts done", flush=True)
                driver = subprocess.Popen(asked)
            assert driver.wait() == 0
        finally:
            ended.set()
            killer.join()
            driver.kill()
        print(f"{len(killed)} actors were killed in {time.monotonic() - begun:.0f} s")
    one = place / "one"
    subprocess.run(command(folder, one, size), check=True)
    assert merge(output) == merge(one), "the outputs differ"
    print("the merged output has the bytes of one process's")


def cost(folder: Path, place: Path, size: int, rounds: int) -> None:
    """Print the seconds of one process and of Ray, in turn."""
    cores = usable_cores()
    ways = {
        "one process": (),
        f"ray, 1 actor of {cores} cores": ("--engine", "ray", "--actors", "1"),
        f"ray, {cores} actors of 1 core": (
            *("--engine", "ray", "--actors", str(cores), "--actor-cpus", "1"),
        ),
    }
    for number in range(rounds):
        for name, more in ways.items():
            output = place / f"{number}-{name.replace(' ', '-')}"
            begun = time.monotonic()
            subprocess.run(command(folder, output, size, *more), check=True)
            print(f"{name}: {time.monotonic() - begun:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=float, default=5.0)
    parser.add_argument("--part-size", type=int, default=100)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if arguments.cost:
            cost(arguments.folder, Path(place), arguments.part_size, arguments.rounds)
        else:
            survive(arguments.folder, Path(place), arguments.part_size, arguments.every)


if __name__ == "__main__":
    main()
