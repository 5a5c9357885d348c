"""How a training run looks: a progress bar and a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from capgen.cli.live_bar import LiveBar, duration
from capgen.paths import run_name
from capgen.records import (
    CheckpointSaved,
    EpochEvent,
    Event,
    LimitPassed,
    Notice,
    PreparationEvent,
    RunCreated,
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
    "features": "encoding images",
    "captions": "teacher's captions",
}
_METRICS = ("METEOR", "BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D")


class TrainingScreen:
    """Shows the events of a run on stderr.

    Args:
        run: The run's name or folder, if it has one already.
    """

    def __init__(self, run: str = "") -> None:
        self._live = LiveBar(self._line, seconds=_SECONDS_BETWEEN_LINES, at_once=True)
        self._label_prefix = ""
        self._steps = self._epochs = 0
        self._evaluated, self._eval_seconds = 0, 0.0  # epochs, and the mean of each
        self._run = run
        self._preparing: PreparationEvent | None = None

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._live.__exit__(*details)

    def show(self, event: Event) -> None:
        """Show an event, if there is anything to see of its kind."""
        kinds: dict[type[Event], Callable[[Any], None]] = {
            PreparationEvent: self._prepared,
            RunCreated: self._created,
            RunStarted: self._started,
            RunResumed: self._resumed,
            StepEvent: self._stepped,
            EpochEvent: self._epoch_over,
            CheckpointSaved: self._saved,
            Notice: self._note,
            LimitPassed: self._note,
            SampleEvent: self._sample,
            TestEvent: self._tested,
            StageStarted: self._stage,
            StageFinished: self._stage_over,
            RunFinished: self._finished,
        }
        if type(event) in kinds:
            kinds[type(event)](event)

    def interrupted(self) -> None:
        """Tell what was prepared, if nothing is trained yet, and how to go on."""
        if not self._run:
            return
        event = self._preparing
        if event is not None:
            next_work = "testing" if event.split.startswith("test") else "training"
            self._line(
                f"stopped before {next_work}, {self._label_prefix}{_preparation(event)}: "
                f"{event.done} of {event.total} done; what is done is kept"
            )
        self._line(f"Go on: {self.go_on}")

    @property
    def go_on(self) -> str:
        """The command that goes on with the run; empty if there is nothing to go on with."""
        return f"capgen train --resume {run_name(Path(self._run))}" if self._run else ""

    def _prepared(self, event: PreparationEvent) -> None:
        self._live.update(_preparation(event), event.done, event.total)
        self._preparing = event

    def _created(self, event: RunCreated) -> None:
        self._run = event.run
        self._line(f"run: {event.run}")

    def _started(self, event: RunStarted) -> None:
        self._preparing = None
        self._steps, self._epochs = event.steps, event.epochs
        # A later stage starts from a folder of the run, which `_stage` has named already.
        named = event.init and not Path(event.init).is_absolute()
        images = event.images.get("train", 0)
        seen = f"{images} images, " if images else ""  # none where it learns from text alone
        self._line(
            f"{event.init if named else event.preset}: {event.parameters / 1e6:.2f} M parameters, "
            f"{event.trained / 1e6:.2f} M trained; {seen}"
            f"{event.captions} captions; {event.steps} steps on {event.device} ({event.precision})"
            f"{_processes(event)}"
        )
        for name, figures in event.sets.items():
            share = f"; {figures['share']:.0%} of the mean on val" if "val" in event.images else ""
            self._line(
                f"       {name}: {figures['train']:.0f} images, {figures['drawn']:.0f} per epoch "
                f"(weight {figures['weight']:g}){share}"
            )
        self._begin(1, 0)

    def _resumed(self, event: RunResumed) -> None:
        self._preparing = None
        self._steps, self._epochs = event.steps, event.epochs
        self._line(
            f"resuming at step {event.step} of {event.steps}{_processes(event)}: {event.run}"
        )
        self._begin(event.epoch + 1, event.step)

    def _begin(self, epoch: int, step: int) -> None:
        self._headers()
        self._evaluated, self._eval_seconds = 0, 0.0
        self._live.begin(self._label(epoch), step, self._steps)

    def _label(self, epoch: int) -> str:
        return f"{self._label_prefix}epoch {epoch}/{self._epochs}"

    def _stepped(self, event: StepEvent) -> None:
        note = (
            f"loss {event.loss:.3f}  lr {event.learning_rate:.2g}  "
            f"{event.images_per_second:.0f} images/s  {event.memory / 2**30:.1f} GiB"
        ) + "".join(
            f"  {name.replace('_', ' ')} {value:.2f}" for name, value in event.numbers.items()
        )
        label = self._label(event.epoch)
        beside = self._eval_seconds * (self._epochs - event.epoch + 1)
        self._live.update(label, event.step, self._steps, note, beside=beside)

    def _epoch_over(self, event: EpochEvent) -> None:
        self._live.pause(event.eval_seconds)
        self._evaluated += 1
        self._eval_seconds += (event.eval_seconds - self._eval_seconds) / self._evaluated
        self._line(_row(event))
        if event.language:
            self._line(f"       {_language(event)}")
        for name, figures in event.sets.items():
            self._line(_set_row(name, figures))

    def _saved(self, event: CheckpointSaved) -> None:
        if event.value is not None:
            self._line(f"       {event.name} is now epoch {event.epoch} ({event.value:.4f})")

    def _note(self, event: Notice | LimitPassed) -> None:
        self._line(f"note: {event.message}")

    def _stage(self, event: StageStarted) -> None:
        self._label_prefix = f"stage {event.number}/{event.count} "
        start = f", from {event.init}" if event.init else ""
        self._line(f"stage {event.number} of {event.count}: {event.stage}{start}")

    def _stage_over(self, event: StageFinished) -> None:
        self._line(f"stage {event.stage} done in {duration(event.seconds)}")

    def _sample(self, event: SampleEvent) -> None:
        if event.followed:
            return
        scores = "  ".join(
            f"{name} {event.metrics[name]:.3f}" for name in _METRICS if name in event.metrics
        )
        self._line(f"       {event.image}: {event.caption}  ({scores})")
        for reference in event.references:
            self._line(f"           reference: {reference}")

    def _tested(self, event: TestEvent) -> None:
        self._preparing = None
        head = f"test ({event.name}): loss {event.loss:.4f}"
        self._line(f"{head}  {_named_scores(event.metrics)}".rstrip())
        for name, figures in event.sets.items():
            shown = {key: value for key, value in figures.items() if key != "images"}
            self._line(f"     {name}: {_named_scores(shown)}")

    def _finished(self, event: RunFinished) -> None:
        self._run = ""  # nothing to go on with
        self._line(f"done in {duration(event.seconds)}: {event.run}")
        if event.best_eval != 0:  # None without validation
            name = run_name(Path(event.run))
            self._line(f"Try it: capgen caption photo.jpg --model {name}/best-eval")

    def _headers(self) -> None:
        metrics = " ".join(f"{name:>8}" for name in _METRICS)
        self._line(f"{'epoch':>5} {'loss':>8} {'val loss':>8} {metrics} {'time':>8}")

    def _line(self, text: str) -> None:
        self._live.print(text)


def _processes(event: RunStarted | RunResumed) -> str:
    """Return how many processes share the work, if there are several."""
    if event.processes == 1:
        return ""
    machines = f" on {event.machines} machines" if event.machines > 1 else ""
    return f", in {event.processes} processes{machines}"


def _preparation(event: PreparationEvent) -> str:
    return f"{_STAGES.get(event.stage, event.stage)} ({event.split})"


def _named_scores(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())


def _scores(values: Mapping[str, float]) -> str:
    return " ".join(f"{values[name]:8.4f}" if name in values else f"{'-':>8}" for name in _METRICS)


def _row(event: EpochEvent) -> str:
    loss = "-" if event.val_loss is None else f"{event.val_loss:.4f}"
    seconds = duration(event.seconds + event.eval_seconds)
    scores = _scores(event.metrics)
    return f"{event.epoch:5d} {event.train_loss:8.4f} {loss:>8} {scores} {seconds:>8}"


def _language(event: EpochEvent) -> str:
    language = event.language
    parts = [
        f"{language['distinct_words']:.0f} words",
        f"{language['unique_captions']:.0%} unique",
        f"length {language['mean_length']:.1f}",
        f"{language['repeated_pairs']:.0%} repeat a pair",
        f"{language['repeated_words']:.0%} repeat a word",
        f"{language['function_word_ends']:.0%} break off",
        *(f"{name.replace('_', ' ')} {value:.3f}" for name, value in event.train_numbers.items()),
    ]
    return "  ".join(parts)


def _set_row(name: str, figures: Mapping[str, float]) -> str:
    return f"{'':5} {'':8} {figures['loss']:8.4f} {_scores(figures)} {name}"
