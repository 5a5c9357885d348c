"""A program for the tests: one process of training runs that share the work.

`torchrun … -m tests.integration.training.rank_program RUN.toml…` trains one run after the other, or
goes on with those that have begun. What should go wrong comes from the environment:

    FAULT=kill:1:4    kill process 1 before its step 4 (counted from 0), as the kernel would
    FAULT=stop:0:4    ask process 0 to stop in step 4
    IMAGES=FOLDER     write the images of each step that each process sees, as JSON lines
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from capgen.cli.main import main
from capgen.training.optimization.micro_batches import MicroBatch
from capgen.training.optimization.trainer import Trainer

RANK = int(os.environ.get("RANK", "0"))


def _with_faults() -> None:
    plain = Trainer._micro_batches

    def micro_batches(self: Trainer, numbers: torch.Tensor) -> list[MicroBatch]:
        kind, rank, step = os.environ.get("FAULT", "none:0:0").split(":")
        if (RANK, self.step) == (int(rank), int(step)):
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "stop":
                self.stop.note(signal.SIGTERM)
        batches = plain(self, numbers)
        if "IMAGES" in os.environ:
            seen = [n for batch in batches if not batch.idle for n in batch.images.tolist()]
            with Path(os.environ["IMAGES"], f"{RANK}.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": self.step, "images": seen}) + "\n")
        return batches

    Trainer._micro_batches = micro_batches


def work(settings: Path) -> int:
    """Train, or go on with a run that has begun; return the exit code of the command."""
    run = settings.with_suffix("")
    if (run / "config.toml").is_file():
        return main(["train", "--resume", str(run)])
    return main(["train", "--config", str(settings), "--output-dir", str(run)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    _with_faults()
    sys.exit(max(work(Path(name)) for name in sys.argv[1:]))
