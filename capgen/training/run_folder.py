"""The folder of a training run: settings, events, checkpoints."""

from __future__ import annotations

import dataclasses
import datetime
import json
import tomllib
from pathlib import Path
from typing import Any

from capgen.config import TrainConfig, parse_setting
from capgen.errors import UsageError
from capgen.paths import runs_dir, storage_errors, write_text
from capgen.records import Event

CONFIG_FILE = "config.toml"
EVENTS_FILE = "events.jsonl"


class RunFolder:
    """A run's folder.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, config: TrainConfig) -> RunFolder:
        """Make the folder and write the settings into it.

        Raises:
            UsageError: There is a run already.
            StorageError: It cannot be written.
        """
        path = config.output_dir or runs_dir() / (config.name or _new_name(config.preset))
        if (path / EVENTS_FILE).exists():
            raise UsageError(
                f"{path} already holds a training run",
                hint="Choose another --output-dir or --name, or delete that folder.",
            )
        write_text(path / CONFIG_FILE, to_toml(config))
        return cls(path)

    def record(self, event: Event) -> None:
        """Append an event, with the time, to `events.jsonl`.

        Raises:
            StorageError: It cannot be written.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({**event.to_dict(), "time": now})
        file = self.path / EVENTS_FILE
        with storage_errors(file), file.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def checkpoint(self, name: str) -> Path:
        """Return the folder of a checkpoint."""
        return self.path / name


def to_toml(config: TrainConfig) -> str:
    """Return settings as TOML that `read_config` reads; what is not set is left out."""
    lines = ["# Settings of a capgen training run."]
    for name, value in config.to_dict().items():
        if name in ("data_dir", "output_dir") and value is not None:
            value = str(Path(value).absolute())
        if value is not None:
            # JSON's strings, numbers and booleans are TOML's, DEL aside.
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{name} = {text}")
    return "\n".join(lines) + "\n"


def read_config(file: Path) -> TrainConfig:
    """Read settings that `to_toml` wrote.

    Raises:
        UsageError: The file cannot be read, is not TOML, or holds a value that is no setting.
    """
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"Cannot read the settings in {file}: {error}") from error
    kinds = {field.name: str(field.type) for field in dataclasses.fields(TrainConfig)}
    for name, value in content.items():
        if not isinstance(value, str) or kinds.get(name, "Path").startswith("Path"):
            content[name] = parse_setting(TrainConfig, name, str(value))
    return TrainConfig(**content)


def _new_name(preset: str) -> str:
    return f"{preset}-{datetime.datetime.now().strftime('%Y%m%d-%H%M%S')}"
