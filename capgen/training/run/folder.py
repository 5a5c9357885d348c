"""The folder of a training run: settings, events, checkpoints."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Unpack

from capgen.config import TrainConfig
from capgen.config.training_keywords import TrainKeywords
from capgen.errors import UsageError, did_you_mean
from capgen.locks import Lock
from capgen.models.checkpoint import recover_folder
from capgen.models.folder import BEST_EVAL as BEST_EVAL
from capgen.models.folder import BEST_LOSS as BEST_LOSS
from capgen.models.folder import CHECKPOINTS as CHECKPOINTS
from capgen.models.folder import LAST as LAST
from capgen.models.folder import (
    RUN_ENVIRONMENT_FILE,
    RUN_LOCK_FILE,
    RUN_SETTINGS_FILE,
    being_trained,
)
from capgen.models.run_events import EVENTS_FILE
from capgen.overwriting import Content, check_output
from capgen.paths import run_name, runs_dir, storage_errors, write_text
from capgen.records import Event, RunFinished
from capgen.training.plan.settings import TOML_TITLE, read_settings, to_toml
from capgen.training.processes.base import Processes

CONFIG_FILE = RUN_SETTINGS_FILE
ENVIRONMENT_FILE = RUN_ENVIRONMENT_FILE
_RUN_SETTINGS = Content(
    "settings of training runs", lambda head: head.startswith(TOML_TITLE.encode())
)


class RunFolder:
    """A run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, config: TrainConfig, note: str = "") -> RunFolder:
        """Make the folder and write the settings into it, with a note for people."""
        path = cls.check_free(config)
        write_text(path / CONFIG_FILE, to_toml(config) + (f"# {note}\n" if note else ""))
        return cls(path)

    @staticmethod
    def check_free(config: TrainConfig) -> Path:
        """Return the folder of a new run.

        Raises:
            UsageError: It holds a run, or the user's own file in place of its settings.
        """
        path = config.output_dir or (
            runs_dir() / config.name if config.name else _new_folder(config.preset)
        )
        if (path / EVENTS_FILE).exists() or being_trained(path):
            raise UsageError(
                f"{path} already holds a training run",
                hint=f"Continue with --resume {run_name(path)}, "
                "or choose another --output-dir or --name.",
            )
        check_output(path / CONFIG_FILE, _RUN_SETTINGS)
        return path

    @classmethod
    def find(cls, name: str | Path) -> RunFolder:
        """Return the folder of a run, by path or by name.

        Raises:
            UsageError: There is no such run.
        """
        path = Path(name).expanduser()
        for place in (path, runs_dir() / path):
            if (place / CONFIG_FILE).is_file():
                return cls(place)
        known = [entry.parent.name for entry in runs_dir().glob(f"*/{CONFIG_FILE}")]
        raise UsageError(f"There is no training run '{name}'", hint=did_you_mean(str(name), known))

    def recover(self) -> None:
        """Complete what a process that died left half done."""
        for name in CHECKPOINTS:
            recover_folder(self.checkpoint(name))

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        file = self.path / EVENTS_FILE
        if not file.is_file():
            return False
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        return bool(lines) and f'"{RunFinished.event}"' in lines[-1]

    @property
    def events_size(self) -> int:
        """Bytes of events recorded so far."""
        file = self.path / EVENTS_FILE
        return file.stat().st_size if file.is_file() else 0

    def forget_after(self, size: int) -> None:
        """Remove the events after the first `size` bytes."""
        file = self.path / EVENTS_FILE
        if file.is_file():
            with storage_errors(file):
                os.truncate(file, size)

    def forget_first(self, size: int) -> None:
        """Remove the first `size` bytes of events."""
        file = self.path / EVENTS_FILE
        if file.is_file():
            write_text(file, file.read_bytes()[size:].decode())

    def write_record(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file into the folder."""
        write_text(self.path / name, json.dumps(content, indent=2) + "\n")

    def read_record(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the folder; empty if it is missing or damaged."""
        try:
            return dict(json.loads((self.path / name).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def record(self, event: Event) -> None:
        """Append an event, with the time, to `events.jsonl`."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({**event.to_dict(), "time": now})
        file = self.path / EVENTS_FILE
        with storage_errors(file), file.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(line + "\n")

    def checkpoint(self, name: str) -> Path:
        """Return the folder of a checkpoint."""
        return self.path / name


@contextmanager
def only_trainer(processes: Processes, run: Path) -> Iterator[None]:
    """Keep all but this run's processes from training in its folder, renaming or removing it.

    Raises:
        UsageError: Another process trains in the folder.
    """
    lock = Lock(run / RUN_LOCK_FILE)
    if not processes.first(lock.take):
        raise UsageError(
            f"Another process is training {run}",
            hint="Wait for it or stop it first; `fg` continues what Ctrl-Z has suspended.",
        )
    try:
        yield
    finally:
        if processes.rank == 0:
            with suppress(OSError):  # Windows keeps the file while it is open
                (run / RUN_LOCK_FILE).unlink(missing_ok=True)
            lock.release()


def read_config(file: Path, **changes: Unpack[TrainKeywords]) -> TrainConfig:
    """Read settings that `to_toml` wrote.

    Args:
        file: The TOML file.
        changes: Settings to replace.

    Raises:
        UsageError: The file cannot be read, or a setting in it is wrong.
    """
    return TrainConfig(**{**read_settings(file), **changes})


def _new_folder(preset: str) -> Path:
    """Return a folder that does not exist yet, named after preset and time."""
    name = f"{preset}-{datetime.datetime.now().strftime('%Y%m%d-%H%M%S')}"
    path = runs_dir() / name
    number = 2
    while path.exists():  # another run of the same second
        path = runs_dir() / f"{name}-{number}"
        number += 1
    return path
