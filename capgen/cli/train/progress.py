"""How a training run looks: a progress bar and a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from capgen.cli.console import bar_place
from capgen.paths import run_name
from capgen.records import (
    CheckpointSaved,
    EpochEvent,
    Event,
    Notice,
    PreparationEvent,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleEvent,
    StageFinished,
    StageStarted,
    StepEvent,
    TestEvent,
)

_SECONDS_BETWEEN_LINES = 30.0
_STAGES = {
    "photos": "decoding images",
    "features": "frozen encoder",
    "captions": "teacher's captions",
}
_METRICS = ("METEOR", "BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D")


class TrainingScreen:
    """Shows the events of a run on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._label = ""
        self._label_prefix = ""
        self._last_line = 0.0
        self._steps = 0
        self._epochs = 0

    def __enter__(self) -> Self:
        if sys.stderr is not None and sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}", markup=False),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                transient=True,
                **bar_place(),
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, PreparationEvent):
            label = f"{_STAGES.get(event.stage, event.stage)} ({event.split})"
            self._progress(label, event.done, event.total)
        elif isinstance(event, RunStarted):
            self._started(event)
        elif isinstance(event, RunResumed):
            self._steps, self._epochs = event.steps, event.epochs
            self._line(f"going on at step {event.step} of {event.steps}: {event.run}")
            self._heads()
        elif isinstance(event, StepEvent):
            note = (
                f"loss {event.loss:.3f}  lr {event.learning_rate:.2g}  "
                f"{event.images_per_second:.0f} images/s  {event.memory / 2**30:.1f} GiB"
            ) + "".join(
                f"  {name.replace('_', ' ')} {value:.2f}" for name, value in event.numbers.items()
            )
            label = f"{self._label_prefix}epoch {event.epoch}/{self._epochs}"
            self._progress(label, event.step, self._steps, note)
        elif isinstance(event, EpochEvent):
            self._line(_row(event))
            if event.language:
                self._line(f"       {_language(event)}")
            for name, figures in event.sets.items():
                self._line(_set_row(name, figures))
        elif isinstance(event, CheckpointSaved) and event.value is not None:
            self._line(f"       {event.name} is now epoch {event.epoch} ({event.value:.4f})")
        elif isinstance(event, Notice):
            self._line(f"note: {event.message}")
        elif isinstance(event, SampleEvent) and not event.followed:
            self._sample(event)
        elif isinstance(event, TestEvent):
            scores = "  ".join(f"{name} {value:.4f}" for name, value in event.metrics.items())
            self._line(f"test ({event.name}): loss {event.loss:.4f}  {scores}".rstrip())
            for name, figures in event.sets.items():
                scores = "  ".join(
                    f"{key} {value:.4f}" for key, value in figures.items() if key != "images"
                )
                self._line(f"     {name}: {scores}")
        elif isinstance(event, StageStarted):
            self._stage(event)
        elif isinstance(event, StageFinished):
            self._line(f"stage {event.stage} done in {_duration(event.seconds)}")
        elif isinstance(event, RunFinished):
            self._line(f"done in {_duration(event.seconds)}: {event.run}")
            if event.best_eval != 0:  # None without validation
                name = run_name(Path(event.run))
                self._line(f"Try it: capgen caption photo.jpg --model {name}/best-eval")

    def _started(self, event: RunStarted) -> None:
        self._steps, self._epochs = event.steps, event.epochs
        # A later stage goes on from a folder of the run, which its own line has named.
        named = event.init and not Path(event.init).is_absolute()
        self._line(
            f"{event.init if named else event.preset}: {event.parameters / 1e6:.2f} M parameters, "
            f"{event.trained / 1e6:.2f} M trained; {event.images.get('train', 0)} images, "
            f"{event.captions} captions; {event.steps} steps on {event.device} ({event.precision})"
        )
        for name, figures in event.sets.items():
            share = f"; {figures['share']:.0%} of the mean on val" if "val" in event.images else ""
            self._line(
                f"       {name}: {figures['train']:.0f} images, {figures['drawn']:.0f} an epoch "
                f"(weight {figures['weight']:g}){share}"
            )
        self._heads()

    def _stage(self, event: StageStarted) -> None:
        self._label_prefix = f"stage {event.number}/{event.count} "
        start = f", from {event.init}" if event.init else ""
        self._line(f"stage {event.number} of {event.count}: {event.stage}{start}")

    def _sample(self, event: SampleEvent) -> None:
        scores = "  ".join(
            f"{name} {event.metrics[name]:.3f}" for name in _METRICS if name in event.metrics
        )
        self._line(f"       {event.image}: {event.caption}  ({scores})")
        for reference in event.references:
            self._line(f"           reference: {reference}")

    def _heads(self) -> None:
        heads = " ".join(f"{name:>8}" for name in _METRICS)
        self._line(f"{'epoch':>5} {'loss':>8} {'val loss':>8} {heads} {'time':>8}")

    def _progress(self, label: str, done: int, total: int, note: str = "") -> None:
        if self._bar is not None:
            if self._task is None or label.split()[0] != self._label.split()[0]:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(label, total=total, note=note)
            self._label = label
            self._bar.update(self._task, description=label, completed=done, total=total, note=note)
            return
        now = time.monotonic()
        if now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._line(f"{label}: {done}/{total} {note}".rstrip())

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, soft_wrap=True)
        elif sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


def _row(event: EpochEvent) -> str:
    loss = "-" if event.val_loss is None else f"{event.val_loss:.4f}"
    scores = " ".join(
        f"{event.metrics[name]:8.4f}" if name in event.metrics else f"{'-':>8}" for name in _METRICS
    )
    seconds = _duration(event.seconds + event.eval_seconds)
    return f"{event.epoch:5d} {event.train_loss:8.4f} {loss:>8} {scores} {seconds:>8}"


def _language(event: EpochEvent) -> str:
    """Return what the captions of val are like, and what else training measured."""
    found = event.language
    parts = [
        f"{found['distinct_words']:.0f} words",
        f"{found['unique_captions']:.0%} unique",
        f"length {found['mean_length']:.1f}",
        f"{found['repeated_pairs']:.0%} repeat a pair",
        f"{found['function_word_ends']:.0%} break off",
        *(f"{name.replace('_', ' ')} {value:.3f}" for name, value in event.train_numbers.items()),
    ]
    return "  ".join(parts)


def _set_row(name: str, figures: Mapping[str, float]) -> str:
    scores = " ".join(
        f"{figures[metric]:8.4f}" if metric in figures else f"{'-':>8}" for metric in _METRICS
    )
    return f"{'':5} {'':8} {figures['loss']:8.4f} {scores} {name}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
