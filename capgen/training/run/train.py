"""A training run as a generator of events. Never prints: the command line renders.

Every checkpoint (`last`, `best-loss`, `best-eval`) is a complete model folder with the
averaged weights, which validation measures, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Unpack

from transformers.utils.logging import disable_progress_bar

from capgen.config import TrainConfig, flag_name
from capgen.config.training_keywords import MachineKeywords
from capgen.errors import UsageError
from capgen.models.part_names import part_name
from capgen.records import Event, RunCreated
from capgen.training.optimization.processes import join_processes
from capgen.training.run.folder import CONFIG_FILE, RunFolder, read_config
from capgen.training.run.listeners import Listeners, run_to_end
from capgen.training.run.run_data import RunData, open_run_data
from capgen.training.run.session import Session
from capgen.training.run.stop_request import StopRequest
from capgen.training.tracking import TRACKING_SETTINGS, check_trackers
from capgen.training.tracking.base import Tracker


def train(
    config: TrainConfig, *, tracker: Tracker | None = None, stop: StopRequest | None = None
) -> Iterator[Event]:
    """Train a captioner.

    Seeds torch's global generator (new weights, dropout) with `config.seed`.

    Args:
        config: The run's settings (see `capgen.config.train_config`).
        tracker: Also receives the events; if it fails, training continues without it.
        stop: Stops the run, with its state saved, once its signal is set.

    Yields:
        `RunCreated`, then the run's events, which are also recorded in `events.jsonl` in its
        folder. The last one is `RunFinished`. In a run of several processes only the first
        one yields events.

    Raises:
        UsageError: Settings contradict each other, or the run's folder is taken.
        DataError: Captions, images or a split are missing or malformed.
        ModelError: A part of the model cannot be found or used.
        NetworkError: The Hub cannot be reached.
        TrainingError: The device is missing, or training diverged.
        TrainingStopped: `stop` asked for it.
        StorageError: A file cannot be written.
    """
    session = new_session(config, stop)
    if session.main:
        yield RunCreated(run=str(session.folder.path))
    listeners = Listeners(session.folder, config, config.to_dict(), tracker)
    yield from run_to_end(session, listeners)


def resume(
    run: str | Path,
    *,
    tracker: Tracker | None = None,
    stop: StopRequest | None = None,
    **machine: Unpack[MachineKeywords],
) -> Iterator[Event]:
    """Continue a run from its last saved state.

    On a CPU the result is bit for bit that of a run that was never interrupted.

    Args:
        run: The run's folder or name.
        tracker: As for `train`.
        stop: As for `train`.
        machine: Settings that may differ from the run's: see `MACHINE_SETTINGS`.

    Yields:
        As `train`.

    Raises:
        UsageError: There is no such run, it is finished, or a setting may not differ.
        CapgenError: As for `train`.
    """
    folder = RunFolder.find(run)
    check_resumable(folder, run, machine)
    session = saved_session(folder, stop, **machine)
    listeners = Listeners(folder, session.config, session.config.to_dict(), tracker)
    yield from run_to_end(session, listeners)


def new_session(config: TrainConfig, stop: StopRequest | None = None) -> Session:
    """Return a run that is about to start; makes its folder."""
    check_trackers(config)
    processes = join_processes(config.device)
    RunFolder.check_free(config)
    disable_progress_bar()  # transformers' own, for every file it reads or writes
    data = open_run_data(config, processes)
    path = str(RunFolder.create(config, _origin(data)).path) if processes.rank == 0 else ""
    folder = RunFolder(Path(processes.gather(path)[0]))
    return Session(data, folder, stop or StopRequest(), resumed=False)


def _origin(data: RunData) -> str:
    """Return what the preset does not tell about a run that starts from a captioner."""
    if data.config.init is None:
        return ""
    model = data.learner.captioning.model.config.to_dict()
    parts = f"{part_name(model, 'encoder')} and {part_name(model, 'decoder')}"
    return f"The model comes from init: {parts}. The preset only gives settings of training."


def saved_session(
    folder: RunFolder, stop: StopRequest | None = None, **machine: Unpack[MachineKeywords]
) -> Session:
    """Return a run that is about to continue, with some `MACHINE_SETTINGS` changed."""
    config = read_config(folder.path / CONFIG_FILE, **machine)
    check_trackers(config)
    processes = join_processes(config.device)
    if processes.rank == 0:
        folder.recover()
    disable_progress_bar()
    data = open_run_data(config, processes)
    return Session(data, folder, stop or StopRequest(), resumed=True)


# Settings that change how a run computes, not what it computes.
MACHINE_SETTINGS = (
    *("device", "workers", "save_every", "keep_states", "eval_batch_size"),
    *TRACKING_SETTINGS,
)


def check_resumable(folder: RunFolder, run: str | Path, settings: Iterable[str]) -> None:
    """Check that a run can continue with some settings changed.

    Args:
        folder: The run's folder.
        run: What the user calls it.
        settings: Names of the settings.

    Raises:
        UsageError: It is finished, or a setting is not one of `MACHINE_SETTINGS`.
    """
    if folder.finished:
        raise UsageError(
            f"{folder.path} is finished", hint=f"To train further, use --init {run}/last."
        )
    for name in settings:
        if name not in MACHINE_SETTINGS:
            raise UsageError(
                f"{flag_name(name)} cannot change when a run is resumed",
                hint="These settings can change: " + ", ".join(MACHINE_SETTINGS),
            )
