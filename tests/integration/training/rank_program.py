"""One process of training runs that share the work, for the tests; also a program for launchers.

`torchrun … -m tests.integration.training.rank_program RUN.toml…` trains one run after the other, or
goes on with those that have begun. What should go wrong comes from the environment:

    FAULT=kill:1:4        kill process 1 before its step 4 (counted from 0), as the kernel would
    FAULT=stop:0:4        ask process 0 to stop in step 4
    FAULT=validate:1:8    send SIGTERM to process 1 itself in the validation after step 8
    FAULT=encode:1:1      kill process 1 when its frozen encoder has seen so many batches
    SHARES=FOLDER         write how many numbers each process keeps of the decoder's blocks
    OPTIONS=--a-flag      give `--resume` an option
    IMAGES=FOLDER         write the images of each step that each process sees, as JSON lines
    PASSES=FOLDER         write how many images are in each batch that each frozen encoder sees
    BATCH=2               images that a frozen encoder sees at once
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.distributed.tensor import DTensor

from capgen.cli.main import main
from capgen.models.efficientnet import VARIANTS
from capgen.training.data import frozen_features
from capgen.training.data.frozen_features import Front, FrozenFront
from capgen.training.optimization.micro_batches import MicroBatch
from capgen.training.optimization.trainer import Trainer
from capgen.training.validation.validate import Validation, Validator
from tests.tiny_models import TINY, TINY_SIZES


def run_rank(settings: list[Path]) -> int:
    """Train each run, or go on with it if it has begun; return the worst exit code."""
    torch.set_num_threads(1)
    VARIANTS[TINY] = TINY_SIZES
    _with_faults(int(os.environ.get("RANK", "0")))
    return max(_work(file) for file in settings)


def _work(settings: Path) -> int:
    run = settings.with_suffix("")
    if (run / "config.toml").is_file() or "RESUME" in os.environ:
        return main(["train", "--resume", str(run), *os.environ.get("OPTIONS", "").split()])
    return main(["train", "--config", str(settings), "--output-dir", str(run)])


def _with_faults(rank: int) -> None:
    fault, who, when = os.environ.get("FAULT", "none:0:0").split(":")
    ours = rank == int(who) or who == "-1"
    _count_passes(rank, int(when) if ours and fault == "encode" else -1)
    plain, validate = Trainer._micro_batches, Validator.run
    taken: list[int] = []

    def micro_batches(self: Trainer, numbers: torch.Tensor) -> list[MicroBatch]:
        if ours and self.step == int(when):
            if fault == "kill":
                _die()
            if fault == "stop":
                self.stop.note(signal.SIGTERM)
        batches = plain(self, numbers)
        if "SHARES" in os.environ:
            sizes = json.dumps(_kept(self))
            Path(os.environ["SHARES"], f"{rank}.json").write_text(sizes, encoding="utf-8")
        taken.append(self.step)
        if "IMAGES" in os.environ:
            seen = [n for batch in batches if not batch.idle for n in batch.images.tolist()]
            with Path(os.environ["IMAGES"], f"{rank}.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": self.step, "images": seen}) + "\n")
        return batches

    def run(self: Validator, poll: Callable[[], None] = lambda: None) -> Validation:
        # It measures the split val while training, later the split test.
        if fault == "validate" and ours and taken[-1:] == [int(when) - 1]:
            os.kill(os.getpid(), signal.SIGTERM)
        return validate(self, poll)

    Trainer._micro_batches = micro_batches
    Validator.run = run


def _die() -> None:
    sys.stderr.write(f"killed at {time.time()}\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def _count_passes(rank: int, last: int) -> None:
    """Note the passes of frozen encoders, and die instead of one more than `last`."""
    frozen_features._BATCH = int(os.environ.get("BATCH", frozen_features._BATCH))
    plain = FrozenFront.runner
    passes: list[int] = []

    def runner(front: FrozenFront) -> tuple[Front, str]:
        compute, slow = plain(front)

        def run(pixels: NDArray[np.float32]) -> NDArray[Any]:
            if len(passes) == last:
                _die()
            passes.append(len(pixels))
            if "PASSES" in os.environ:
                Path(os.environ["PASSES"], f"{rank}.json").write_text(json.dumps(passes))
            return compute(pixels)

        return run, slow

    FrozenFront.runner = runner


def _kept(trainer: Trainer) -> dict[str, int]:
    """Return how many numbers a process holds for the decoder's blocks, by what they are."""
    averages = dict(zip(trainer.weights.named, trainer.average.average, strict=True))
    sizes = {"weights": 0, "average": 0, "optimizer": 0}
    for name, parameter in trainer.weights.named.items():
        if ".transformer.h." in name:
            sizes["average"] += averages[name].numel()
            moments = trainer.optimizer.state[parameter].values()
            sizes["optimizer"] += sum(moment.numel() for moment in moments if moment.ndim)
    for name, weight in trainer.model.named_parameters():
        if ".transformer.h." in name:
            own = weight.to_local() if isinstance(weight, DTensor) else weight
            sizes["weights"] += own.numel()
    return sizes


if __name__ == "__main__":
    sys.exit(run_rank([Path(name) for name in sys.argv[1:]]))
