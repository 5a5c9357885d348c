"""Where a model comes from: `capgen.json` in its folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from capgen.paths import write_text
from capgen.records import SCHEMA_VERSION

PROVENANCE_FILE = "capgen.json"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a model comes from; the content of `capgen.json`.

    Attributes:
        preset: Architecture and recipe family (`mini`, `clip-gpt2`), taken over from the
            captioner that a run started from, if any.
        data: Data set name, digest and counts by split.
        training: The resolved training settings; if the run started from another captioner,
            without those that only a new one has.
        metrics: Evaluations by name; `capgen.models.recorded_scores` reads them.
        versions: Versions of capgen, torch, transformers and Python.
        created: UTC time of saving, ISO 8601.
        files: SHA-256 of the weights and the tokenizer as saved, by name.
        export: For an export: its source, and how it was made.
        lineage: Where its weights come from, nearest first (see `capgen.models.lineage`).
    """

    preset: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    export: Mapping[str, Any] = field(default_factory=dict)
    lineage: Sequence[Mapping[str, Any]] = ()

    def write(self, folder: Path) -> None:
        """Write `capgen.json` into a model folder."""
        record = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}
        write_text(folder / PROVENANCE_FILE, json.dumps(record, indent=2) + "\n")

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record of this or any earlier schema version.

        Unknown fields and fields of another type are ignored.
        """
        kinds = {
            item.name: str if item.type == "str" else Mapping
            for item in dataclasses.fields(cls)
            if item.name != "lineage"
        }
        values: dict[str, Any] = {
            name: value
            for name, value in record.items()
            if name in kinds and isinstance(value, kinds[name])
        }
        lineage = record.get("lineage")
        if isinstance(lineage, list | tuple):
            values["lineage"] = tuple(entry for entry in lineage if isinstance(entry, Mapping))
        return cls(**values)
