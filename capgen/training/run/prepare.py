"""What comes before the first step: the processes agree, caches are made, the trainer is built."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

from capgen.config import TrainConfig
from capgen.errors import TrainingError
from capgen.records import Event
from capgen.training.data.inputs import RowInputs
from capgen.training.objectives.distill.loss import Teaching
from capgen.training.objectives.distill.teachers import make_teaching
from capgen.training.optimization.trainer import Trainer
from capgen.training.processes.base import Processes
from capgen.training.run.assemble import build_trainer, build_validator, split_inputs
from capgen.training.run.run_data import RunData, data_notices
from capgen.training.run.stop_request import StopRequest
from capgen.training.validation.validate import Validator

T = TypeVar("T")
# The images of each data set.
ByName = Mapping[str, RowInputs]
# Settings that processes on several machines may have of their own.
_OWN_SETTINGS = (
    *("output_dir", "name", "data_dir", "text_data", "init", "teacher", "encoder", "decoder"),
    *("device", "workers"),
)


def prepare(
    data: RunData, frozen: str, stop: StopRequest
) -> Generator[Event, None, tuple[Trainer, Validator | None]]:
    """Make or read the caches; return the trainer, and the validator if the run validates.

    Args:
        data: Settings, data and captioner.
        frozen: What identifies the weights that are not trained.
        stop: Whether to stop.

    Raises:
        TrainingError: The processes of the run have different data, weights or settings.
    """
    processes = data.processes
    if processes.rank == 0:
        yield from data_notices(data)
    _check_alike(data, frozen)
    train_inputs, val_inputs, teaching = yield from _checked(processes, _inputs(data))
    trainer = build_trainer(data, train_inputs, stop, teaching)
    if val_inputs is None:
        return trainer, None
    return trainer, build_validator(data, "val", val_inputs)


def _checked(processes: Processes, work: Generator[Event, None, T]) -> Generator[Event, None, T]:
    """Pass on events and the result of work that may take hours, until a process ends."""
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        yield event
        processes.check()


def _inputs(
    data: RunData,
) -> Generator[Event, None, tuple[ByName, ByName | None, Teaching | None]]:
    """Read, or make and cache, what is learned from and validated on."""
    train_inputs: ByName = {}
    if data.config.sees_images:
        train_inputs = yield from split_inputs(data, "train")
    val_inputs = None
    if "val" in data.splits:
        val_inputs = yield from split_inputs(data, "val")
    teaching = yield from make_teaching(
        data.config, data.learner, data.splits["train"], data.used, data.dataset.digest, data.crew
    )
    return train_inputs, val_inputs, teaching


def _check_alike(data: RunData, frozen: str) -> None:
    for name, own in (
        ("data", data.digest),
        ("pretrained weights", frozen),
        ("settings", _settings_of_all(data.config)),
    ):
        every = data.processes.gather(own)
        others = [rank for rank, value in enumerate(every) if value != every[0]]
        if others:
            raise TrainingError(
                f"Process {others[0]} has other {name} than process 0 of the run",
                hint="Give every machine the same command, data set, models and version of capgen.",
            )


def _settings_of_all(config: TrainConfig) -> dict[str, Any]:
    """Return the settings that all processes of a run must share."""
    return {name: value for name, value in config.to_dict().items() if name not in _OWN_SETTINGS}
