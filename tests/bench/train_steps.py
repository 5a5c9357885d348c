"""Training steps a second of a recipe's stage, and how long the GPU waits in each.

    python -m tests.bench.train_steps --config mini --stage 1 --data-dir flickr8k \
        --data-dir coco_sample --text-data captions.jsonl --precision fp32 bf16 fp16

Each variant takes steps of the real data with the real objective: first ones that are not timed,
then timed ones, then ones whose work on the GPU is measured by torch's profiler. The GPU waits for
the share of a timed step in which it has no such work. `--compile too` adds compiled variants.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from capgen.config import TrainConfig
from capgen.models.torch_devices import choose_device, hardware
from capgen.records import Event
from capgen.training.optimization.trainer import Trainer
from capgen.training.plan.stages import resolve_plan
from capgen.training.processes.base import Alone
from capgen.training.run.assemble import build_trainer, split_inputs
from capgen.training.run.run_data import RunData, open_run_data
from capgen.training.run.stop_request import StopRequest


def main() -> None:
    asked = _arguments()
    device = choose_device(asked.device)
    config = _config(asked)
    began = time.perf_counter()
    data = open_run_data(config, Alone())
    opened = time.perf_counter()
    inputs = _value(split_inputs(data, "train"))
    print(
        json.dumps(
            {
                "device": hardware(device),
                "torch": torch.__version__,
                "opening the data, s": round(opened - began, 1),
                "preparing the images, s": round(time.perf_counter() - opened, 1),
            }
        ),
        flush=True,
    )
    for compiles in {"no": (False,), "only": (True,), "too": (False, True)}[asked.compile]:
        for precision in asked.precision:
            changed = dataclasses.replace(config, precision=precision, compile=compiles)
            trainer = build_trainer(
                dataclasses.replace(data, config=changed), inputs, StopRequest(), None
            )
            trainer.steps_per_report = 10**9
            result = _measure(trainer, asked, device)
            print(json.dumps({**_variant(data, changed), **result}), flush=True)
            del trainer
            gc.collect()


def _measure(trainer: Trainer, asked: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    steps = _steps(trainer)
    began = time.perf_counter()
    next(steps)
    _wait(device)
    first = time.perf_counter() - began
    _take(steps, asked.warm_up)
    _wait(device)
    times = []
    for _ in range(asked.rounds):
        began = time.perf_counter()
        _take(steps, asked.steps)
        _wait(device)
        times.append((time.perf_counter() - began) / asked.steps)
    step = statistics.median(times)
    result = {
        "first step, s": round(first, 2),
        "step, ms": round(1000 * step, 2),
        "rounds, ms": [round(1000 * value, 2) for value in times],
        "images/s": round(trainer.config.images_a_step / step, 1),
    }
    if device.type == "cuda":
        busy, table = _busy(steps, asked.profiled, device)
        result["GPU busy, ms a step"] = round(1000 * busy, 2)
        result["GPU waits, share"] = round(max(0.0, 1 - busy / step), 3)
        result["peak memory, GB"] = round(torch.cuda.max_memory_allocated(device) / 1e9, 2)
        if asked.tables:
            asked.tables.mkdir(parents=True, exist_ok=True)
            name = f"{trainer.config.objective}-{trainer.config.precision}"
            name += "-compiled" if trainer.config.compile else ""
            name += f"-{trainer.config.train_encoder}"
            places = _waiting_places(steps, device)
            (asked.tables / f"{name}.txt").write_text(f"{table}\n\n{places}", encoding="utf-8")
        torch.cuda.reset_peak_memory_stats(device)
    return result


def _steps(trainer: Trainer) -> Iterator[Event | None]:
    """Take steps of one epoch after the other."""
    number = 1
    while True:
        yield from trainer.epoch(number)
        number += 1


def _take(steps: Iterator[Event | None], count: int) -> None:
    for _ in range(count):
        next(steps)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _busy(steps: Iterator[Event | None], count: int, device: torch.device) -> tuple[float, str]:
    """Return the seconds of work on the GPU per step, and a table of its kernels."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        _take(steps, count)
        _wait(device)
    averages = profiler.key_averages()
    total = sum(entry.self_device_time_total for entry in averages)
    table = averages.table(sort_by="self_device_time_total", row_limit=40, max_name_column_width=90)
    return total / 1e6 / count, f"{count} steps\n{table}"


def _waiting_places(steps: Iterator[Event | None], device: torch.device) -> str:
    """Return where a step waits for the GPU, with how often."""
    _wait(device)
    found: dict[str, int] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            _take(steps, 1)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for warning in caught:
        place = f"{Path(warning.filename).name}:{warning.lineno}"
        found[place] = found.get(place, 0) + 1
    return "\n".join(f"{count:5} {place}" for place, count in found.items())


def _variant(data: RunData, config: TrainConfig) -> dict[str, Any]:
    return {
        "objective": config.objective,
        "train_encoder": config.train_encoder,
        "cached features": data.learner.objective.cached,
        "images a step": config.images_a_step,
        "precision": config.precision,
        "compile": config.compile,
    }


def _value(generator: Any) -> Any:
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


def _config(asked: argparse.Namespace) -> TrainConfig:
    flags = {
        "data_dir": tuple(asked.data_dir),
        "text_data": tuple(asked.text_data),
        "device": asked.device,
        "batch_size": asked.batch_size,
        "train_encoder": asked.train_encoder,
        "cache_features": asked.cache_features,
        "num_epochs": 1000,
    }
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    config = resolve_plan(given, file=asked.config).stages[asked.stage - 1].config
    return dataclasses.replace(config, init=asked.init, validation=False, test=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="mini")
    parser.add_argument("--stage", type=int, default=1)
    parser.add_argument("--init", help="the captioner to start from; by default a new one")
    parser.add_argument("--data-dir", type=Path, action="append", default=[], help="or PATH=WEIGHT")
    parser.add_argument("--text-data", type=Path, action="append", default=[])
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16", "fp16"])
    parser.add_argument("--compile", choices=("no", "only", "too"), default="no")
    parser.add_argument("--train-encoder")
    parser.add_argument("--cache-features", action=argparse.BooleanOptionalAction)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20, help="steps in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profiled", type=int, default=5)
    parser.add_argument("--tables", type=Path, help="folder for tables of kernels")
    return parser.parse_args()


if __name__ == "__main__":
    main()
