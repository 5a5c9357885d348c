"""The folder of a run in stages: a folder for each stage, and what is derived from those.

    config.toml                     settings of all stages
    events.jsonl                    the events of all stages
    last/  best-loss/  best-eval/   those of the newest stage that has them
    stages/1-cross-entropy/         an ordinary run's folder
    stages/2-scst/                  …

Everything outside `stages/` can be rebuilt from it, and is when a run is resumed.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capgen.errors import DataError
from capgen.models.checkpoint import swap_folder
from capgen.models.run_events import EVENTS_FILE, read_events, read_records
from capgen.paths import storage_errors, write_text
from capgen.records import Event, Notice, RunFinished, StageFinished, StageStarted, event_from_dict
from capgen.training.plan.stages import Plan, Stage
from capgen.training.run.folder import CHECKPOINTS, CONFIG_FILE, ENVIRONMENT_FILE, RunFolder
from capgen.training.run.saved_state import StateStore

_WEIGHTS = ".safetensors"


class StagedFolder(RunFolder):
    """A run's folder with the folders of its stages."""

    def __init__(self, path: Path, plan: Plan) -> None:
        super().__init__(path)
        self.plan = plan

    def write_plan(self) -> None:
        """Write the settings into the folder."""
        write_text(self.path / CONFIG_FILE, self.plan.to_toml())

    def discard_plan(self) -> None:
        """Undo `write_plan` if nothing came of the run."""
        (self.path / CONFIG_FILE).unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def stage_folder(self, stage: Stage) -> RunFolder:
        return RunFolder(self.path / stage.folder)

    @property
    def place(self) -> tuple[int, bool]:
        """Number of finished stages, and whether the next one has started."""
        for done, stage in enumerate(self.plan.stages):
            folder = self.stage_folder(stage)
            if not folder.finished:
                return done, (folder.path / CONFIG_FILE).is_file()
        return len(self.plan.stages), False

    def recover(self) -> None:
        """Complete what a process that died left half done."""
        super().recover()
        for stage in self.plan.stages:
            folder = self.stage_folder(stage)
            folder.recover()
            if folder.finished:
                StateStore(folder.path, keep=1).clear()
            for name in CHECKPOINTS:
                self.promote(stage, name)

    def promote(self, stage: Stage, name: str) -> None:
        """Make a stage's checkpoint, if it exists, that of the whole run; weights are linked."""
        source, target = self.stage_folder(stage).checkpoint(name), self.checkpoint(name)
        if not source.is_dir():
            return
        temporary = target.with_name(f".{name}.new")
        with storage_errors(target):
            shutil.rmtree(temporary, ignore_errors=True)
            try:
                shutil.copytree(source, temporary, copy_function=_link_or_copy)
                swap_folder(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def check_data(self, stage: Stage) -> None:
        """Raise `DataError` unless a stage has the same data as the first one."""
        first, present = (
            self.stage_folder(which).read_record(ENVIRONMENT_FILE).get("data", {})
            for which in (self.plan.stages[0], stage)
        )
        if first.get("digest") != present.get("digest"):
            raise DataError(
                "The data set has changed since the first stage",
                hint="Restore it, or start a new run with --init.",
            )

    def started(self, stage: Stage) -> StageStarted:
        """Return the event that a stage starts."""
        before = [self.result(other) for other in self.plan.stages[: stage.number - 1]]
        return StageStarted(
            run=str(self.path),
            path=str(self.stage_folder(stage).path),
            stage=stage.name,
            number=stage.number,
            count=len(self.plan.stages),
            init=stage.config.init or "",
            steps_before=sum(result.steps for result in before),
            epochs_before=sum(result.epochs for result in before),
        )

    def result(self, stage: Stage) -> RunFinished:
        """Return the last event of a finished stage."""
        last = read_events(self.stage_folder(stage).path)[-1]
        assert isinstance(last, RunFinished)
        return last

    def final(self) -> RunFinished:
        """Return the last event of the whole run: sums over stages, the scores of the last one."""
        results = [self.result(stage) for stage in self.plan.stages]
        return dataclasses.replace(
            results[-1],
            run=str(self.path),
            epochs=sum(result.epochs for result in results),
            steps=sum(result.steps for result in results),
            seconds=sum(result.seconds for result in results),
        )

    def gather_events(self) -> None:
        """Rebuild `events.jsonl` from those of the stages and the run's own notices."""
        records = list(self._all_records())
        # The notices of the whole run's trackers are in no stage's folder.
        messages = {record.get("message") for record in records}
        own = [
            record
            for record in read_records(self.path)
            if record.get("event") == Notice.event and record.get("message") not in messages
        ]
        merged = heapq.merge(records, own, key=lambda record: str(record["time"]))
        lines = [json.dumps(record) for record in merged]
        write_text(self.path / EVENTS_FILE, "\n".join([*lines, ""]))

    def _all_records(self) -> Iterator[dict[str, Any]]:
        for stage in self.plan.stages:
            records = read_records(self.path / stage.folder)
            if not records:
                return
            yield {**self.started(stage).to_dict(), "time": records[0]["time"]}
            for record in records:
                event = event_from_dict(record)
                if isinstance(event, RunFinished):
                    record = {**stage_finished(stage, event).to_dict(), "time": record["time"]}
                yield record


def stage_finished(stage: Stage, result: RunFinished) -> Event:
    """Return the end of a stage's run as the end of a stage."""
    fields = {item.name: getattr(result, item.name) for item in dataclasses.fields(result)}
    del fields["run"]
    return StageFinished(stage=stage.name, number=stage.number, **fields)


def _link_or_copy(source: str, target: str) -> None:
    """Copy a file; hard-link weights, which are only ever replaced, where possible."""
    if source.endswith(_WEIGHTS):
        try:
            os.link(source, target)
            return
        except OSError:  # another file system, or one without hard links
            pass
    shutil.copy2(source, target)
