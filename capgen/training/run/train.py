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
from capgen.config.toml_files import read_toml
from capgen.config.training_keywords import MachineKeywords
from capgen.errors import UsageError
from capgen.models.part_names import part_name
from capgen.records import Event, RunCreated
from capgen.training.processes.base import Processes
from capgen.training.processes.folders import SharedFolder
from capgen.training.processes.join import joined_processes
from capgen.training.run.folder import CONFIG_FILE, RunFolder, only_trainer, read_config
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
    with joined_processes(config.device, START) as processes:
        session = new_session(config, processes, stop)
        with only_trainer(processes, session.place.path):
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
        UsageError: There is no such run, it is finished, another process trains it, or a setting
            may not differ.
        CapgenError: As for `train`.
    """
    with joined_processes(saved_device(run, machine), GO_ON) as processes:
        place = find_run(processes, run, machine)
        with only_trainer(processes, place.path):
            yield from go_on(place, processes, tracker=tracker, stop=stop, **machine)


def go_on(
    place: SharedFolder,
    processes: Processes,
    *,
    tracker: Tracker | None,
    stop: StopRequest | None,
    **machine: Unpack[MachineKeywords],
) -> Iterator[Event]:
    """Continue the run in a folder: see `resume`."""
    session = saved_session(place, processes, stop, **machine)
    listeners = Listeners(session.folder, session.config, session.config.to_dict(), tracker)
    yield from run_to_end(session, listeners)


def saved_device(run: str | Path, machine: MachineKeywords) -> str:
    """Return the device of a run that is to continue; `auto` on a machine that lacks it."""
    if "device" in machine:
        return machine["device"]
    try:
        content = read_toml(RunFolder.find(run).path / CONFIG_FILE)
    except UsageError:  # process 0 says so, if it lacks the run, too
        content = {}
    return str(content.get("device", "auto"))


def find_run(processes: Processes, run: str | Path, machine: MachineKeywords) -> SharedFolder:
    """Return the folder of a run that can continue, with its settings on every machine.

    Raises:
        UsageError: There is no such run, it is finished, or a setting may not differ.
    """

    def find() -> Path:
        folder = RunFolder.find(run)
        check_resumable(folder, run, machine)
        return folder.path

    place = SharedFolder(processes, processes.first(find))
    place.bring(CONFIG_FILE)
    return place


def new_session(
    config: TrainConfig, processes: Processes, stop: StopRequest | None = None
) -> Session:
    """Return a run that is about to start; makes its folder."""
    check_trackers(config)
    processes.first(lambda: RunFolder.check_free(config))
    disable_progress_bar()  # transformers' own, for every file it reads or writes
    data = open_run_data(config, processes)
    path = processes.first(lambda: RunFolder.create(config, _origin(data)).path)
    place = SharedFolder(processes, path)
    return Session(data, place, stop or StopRequest(), resumed=False)


def _origin(data: RunData) -> str:
    """Return what the preset does not tell about a run that starts from a captioner."""
    if data.config.init is None:
        return ""
    model = data.learner.captioning.model.config.to_dict()
    parts = f"{part_name(model, 'encoder')} and {part_name(model, 'decoder')}"
    return f"The model comes from init: {parts}. The preset only gives settings of training."


def saved_session(
    place: SharedFolder,
    processes: Processes,
    stop: StopRequest | None = None,
    **machine: Unpack[MachineKeywords],
) -> Session:
    """Return a run that is about to continue, with some `MACHINE_SETTINGS` changed."""
    config = read_config(place.here / CONFIG_FILE, **machine)
    check_trackers(config)
    processes.first(RunFolder(place.path).recover)
    disable_progress_bar()
    data = open_run_data(config, processes)
    return Session(data, place, stop or StopRequest(), resumed=True)


# What the processes of a run must be there for.
START, START_STAGES, GO_ON = "start a run", "start a run in stages", "continue a run"
# Settings that change how a run computes, not what it computes.
MACHINE_SETTINGS = (
    *("device", "workers", "save_every", "keep_states", "eval_batch_size"),
    "shard_decoder",
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
