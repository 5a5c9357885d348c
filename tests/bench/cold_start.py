"""Cold start of `capgen caption`, `capgen --help` and `import torch`, interleaved in one run.

    python tests/bench/cold_start.py [--runs 10]

Modules are compiled first, as pip does, also where PYTHONDONTWRITEBYTECODE is set: without that,
capgen is compiled at every start, and torch, which pip installed, is not.

Prints medians in seconds, the ratio to `import torch`, and peak memory in MB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def image(folder: Path) -> Path:
    """Write a 640×480 JPEG with the detail of an image: smoothed noise."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    path = folder / "photo.jpg"
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def run(command: list[str]) -> tuple[float, float]:
    """Run a command; return its seconds and its peak memory in MB."""
    started = time.perf_counter()
    pid = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{command} failed with status {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    python = sys.executable
    capgen = str(Path(python).with_name("capgen"))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        photo = str(image(Path(folder)))
        commands = {
            "caption, beams 5": [capgen, "caption", photo, "--beams", "5"],
            "the same, mini:int8": [capgen, "caption", photo, "--beams", "5", "-m", "mini:int8"],
            "import torch": [python, "-c", "import torch"],
            "--help": [capgen, "--help"],
        }
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for command in commands.values():
            run(command)  # once for the disk cache
        for _ in range(runs):
            for name, command in commands.items():
                measured[name].append(run(command))
    seconds = {
        name: statistics.median(time for time, _ in found) for name, found in measured.items()
    }
    for name, found in measured.items():
        ratio = seconds[name] / seconds["import torch"]
        peak = max(memory for _, memory in found)
        print(f"{name:20} {seconds[name]:6.3f} s   ratio {ratio:5.2f}   peak {peak:5.0f} MB")


if __name__ == "__main__":
    main()
