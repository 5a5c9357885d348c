"""A program for the tests: train, once undisturbed and once killed six times.

`python -m tests.integration.training.killed_run WHOLE.toml KILLED.toml` trains in child
processes, so that what is imported is imported once. Prints the kills as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from capgen.training.run.folder import read_config
from capgen.training.run.train import resume, train

KILLS = 4
EARLY = 2  # of them at any time from the start on; the others while steps are taken


def work(settings: Path) -> None:
    """Train, or go on with a run that has begun."""
    config = read_config(settings)
    begun = (config.output_dir / "config.toml").is_file()
    for _ in resume(config.output_dir) if begun else train(config):
        pass


def child(settings: Path) -> int:
    """Start `work` in a process of its own; return its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        work(settings)
        code = 0
    finally:
        os._exit(code)


def finish(process: int) -> int:
    """Wait for a process; return its exit code, negative if it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def saved(run: Path) -> set[str]:
    """Return the names of the states that are saved."""
    return {path.name for path in (run / "state").glob("step-*")}


def wait_for_news(run: Path, known: set[str]) -> None:
    """Wait until a run has saved a state that is not known yet."""
    while saved(run) <= known:
        time.sleep(0.001)


def main(whole: Path, killed: Path) -> int:
    torch.set_num_threads(1)
    begun = time.monotonic()
    code = finish(child(whole))
    whole_run = time.monotonic() - begun
    rng = random.Random(0)
    codes: list[int] = []
    states: set[str] = set()
    run = read_config(killed).output_dir
    for number in range(KILLS):
        process = child(killed)
        if number < EARLY:
            time.sleep(rng.uniform(0.0, whole_run / 8))
        else:
            wait_for_news(run, states)
            time.sleep(rng.uniform(0.0, whole_run / 30))
        os.kill(process, signal.SIGKILL)
        codes.append(finish(process))
        states |= saved(run)
    last = finish(child(killed))
    print(json.dumps({"whole": code, "kills": codes, "last": last, "states": sorted(states)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
