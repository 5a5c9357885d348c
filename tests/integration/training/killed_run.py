"""A program for the tests: train, once undisturbed and once killed ten times.

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

from capgen.training.loop import resume, train
from capgen.training.run_folder import read_config

KILLS = 10


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


def main(whole: Path, killed: Path) -> int:
    torch.set_num_threads(1)
    begun = time.monotonic()
    code = finish(child(whole))
    longest = (time.monotonic() - begun) / 7
    rng = random.Random(0)
    codes = []
    for _ in range(KILLS):
        process = child(killed)
        time.sleep(rng.uniform(0.0, longest))
        os.kill(process, signal.SIGKILL)
        codes.append(finish(process))
    print(json.dumps({"whole": code, "kills": codes, "last": finish(child(killed))}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
