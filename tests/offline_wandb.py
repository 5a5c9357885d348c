"""Reads back what an offline run of Weights & Biases wrote.

A `.wandb` file is a log of LevelDB's framing (doc/log_format.md of google/leveldb) with a
header of its own, 7 bytes: `:W&B`, a 16-bit magic number, a version. It is cut into blocks of
32 KiB; a record is one or more chunks of checksum (4 bytes), length (2) and type (1). Each
record is a `Record` of wandb's `wandb_internal.proto`.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BLOCK = 32768
_HEADER = 7
_MAGIC = b":W&B"
_FULL, _FIRST, _LAST = 1, 2, 4


@dataclass(kw_only=True)
class WandbFile:
    """What an offline run's file holds.

    Attributes:
        run_id: The run's id.
        project: Its project.
        name: Its name.
        config: Settings by name.
        history: Points in order, as logged: numbers, and records of tables.
        summary: Last values by name.
        artifacts: Artifacts in order, with `name`, `type`, `metadata`, `aliases`, `files`.
        files: Files of the run, relative to its `files` folder.
        ended: The run was finished.
    """

    run_id: str = ""
    project: str = ""
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    ended: bool = False


def read_wandb_file(path: Path) -> WandbFile:
    """Read a `.wandb` file; fails if it is not one, or damaged."""
    from wandb.proto import wandb_internal_pb2

    messages: Any = wandb_internal_pb2  # made at run time, which type checkers do not see
    data = path.read_bytes()
    assert data.startswith(_MAGIC), f"{path} is not a run file of W&B"
    found = WandbFile()
    for content in _records(data):
        _take(found, messages.Record.FromString(content))
    return found


def _records(data: bytes) -> Iterator[bytes]:
    """Yield whole records; what a process that died left unfinished is left out."""
    place, parts = _HEADER, b""
    while place + _HEADER <= len(data):
        if _BLOCK - place % _BLOCK < _HEADER:  # no room for a chunk: padding
            place += _BLOCK - place % _BLOCK
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, place)
        begin = place + _HEADER
        if begin + length > len(data):
            return
        chunk = data[begin : begin + length]
        assert zlib.crc32(chunk, zlib.crc32(bytes([kind]))) == checksum, f"damaged at {place}"
        place = begin + length
        parts = chunk if kind in (_FULL, _FIRST) else parts + chunk
        if kind in (_FULL, _LAST):
            yield parts


def _take(found: WandbFile, record: Any) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        found.run_id, found.project = record.run.run_id, record.run.project
        found.name = record.run.display_name
        found.config |= _values(record.run.config.update)
    elif kind == "config":
        found.config |= _values(record.config.update)
    elif kind == "history":
        found.history.append(_values(record.history.item))
    elif kind == "summary":
        found.summary |= _values(record.summary.update)
    elif kind == "artifact":
        found.artifacts.append(_artifact(record.artifact))
    elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
        found.artifacts.append(_artifact(record.request.log_artifact.artifact))
    elif kind == "files":
        found.files += [file.path for file in record.files.files]
    elif kind == "exit":
        found.ended = True


def _values(items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        *outer, name = item.nested_key or [item.key]
        place = found
        for key in outer:
            place = place.setdefault(key, {})
        place[name] = json.loads(item.value_json)
    return found


def _artifact(artifact: Any) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "type": artifact.type,
        "metadata": json.loads(artifact.metadata or "{}"),
        "aliases": list(artifact.aliases),
        "files": {entry.path: entry.local_path for entry in artifact.manifest.contents},
    }
