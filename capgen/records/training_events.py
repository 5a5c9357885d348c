"""The events of a training run, with their JSON form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from capgen.known_fields import from_known_fields
from capgen.records.captions import SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a training run; `event` names its kind in JSON."""

    event: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        record = {"schema_version": SCHEMA_VERSION, "event": self.event, **dataclasses.asdict(self)}
        if not record.get("sets", True):
            del record["sets"]  # only in runs on several data sets
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record written by `to_dict`, of this or any earlier schema version."""
        return from_known_fields(cls, record)


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """Training is about to begin.

    Attributes:
        run: The run's folder.
        preset: Name of the preset.
        device: Where it computes (`cpu`, `cuda`, `mps`).
        precision: `fp32`, `bf16` or `fp16`.
        parameters: Parameters of the model.
        trained: Parameters that are trained.
        images: Images in each split.
        captions: Training captions.
        epochs: Passes over the images.
        steps: Total steps.
        sets: In a run on several data sets, or a weighted one: name → `weight`, images per epoch
            (`drawn`) and in each split, and the `share` of its val in means.
        init: The captioner it starts from, or an empty string for a new one.
        encoder: Architecture and size of the encoder, as in `EfficientNet-lite2`.
        decoder: Architecture and size of the decoder, as in `GPT-2 3×256`.
        processes: How many processes share the work.
        machines: How many machines they are on.
    """

    event: ClassVar[str] = "run_started"
    run: str
    preset: str
    device: str
    precision: str
    parameters: int
    trained: int
    images: Mapping[str, int]
    captions: int
    epochs: int
    steps: int
    sets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    init: str = ""
    encoder: str = ""
    decoder: str = ""
    processes: int = 1
    machines: int = 1


@dataclass(frozen=True, kw_only=True)
class RunCreated(Event):
    """A new run has its folder; nothing is prepared yet.

    Attributes:
        run: The run's folder.
    """

    event: ClassVar[str] = "run_created"
    run: str


@dataclass(frozen=True, kw_only=True)
class PreparationEvent(Event):
    """Progress of work before or beside training.

    Attributes:
        stage: `photos` (decoding), `features` (of a frozen encoder) or `captions` (of a teacher).
        split: The split.
        done: Images done.
        total: Total images.
    """

    event: ClassVar[str] = "preparation"
    stage: str
    split: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class StepEvent(Event):
    """Training took some steps.

    Attributes:
        step: Steps taken so far.
        epoch: The epoch, from 1.
        loss: Mean training loss per token since the last such event (with smoothing).
        learning_rate: Learning rate of new parts at this step.
        images_per_second: Training images per second since the last such event.
        memory: Peak bytes of tensors on a GPU, or of the process on a CPU.
        numbers: What else the objective measures since then, such as the mean reward, by name.
        learning_rates: Learning rate by kind of part: new, encoder, decoder.
    """

    event: ClassVar[str] = "step"
    step: int
    epoch: int
    loss: float
    learning_rate: float
    images_per_second: float
    memory: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
    learning_rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EpochEvent(Event):
    """An epoch is over.

    Attributes:
        epoch: The epoch, from 1.
        step: Steps taken so far.
        train_loss: Mean training loss per token (with label smoothing).
        train_numbers: What else the objective measured in training, by name.
        language: Statistics of the captions of val: `distinct_words` and `mean_length` in words;
            as shares `unique_captions`, `repeated_pairs` (captions with a word pair twice),
            `repeated_words` (with a content word twice) and `function_word_ends` (captions that
            break off). Empty if not measured.
        val_loss: Mean loss per token on val (without), or None if not measured.
        metrics: Scores of the captions of val, by metric; empty if not measured.
        seconds: Duration of the epoch's training.
        eval_seconds: Duration of its validation.
        sets: In a run on several data sets: name → `images`, `loss` and scores on its val;
            `val_loss`, `metrics` and `language` are then means.
    """

    event: ClassVar[str] = "epoch"
    epoch: int
    step: int
    train_loss: float
    val_loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    eval_seconds: float = 0.0
    sets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    train_numbers: Mapping[str, float] = field(default_factory=dict)
    language: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """A complete model folder was written.

    Attributes:
        name: `best-loss`, `best-eval` or `last`.
        path: The folder.
        epoch: Its epoch; 0 for the model that a run started from.
        step: Steps taken so far.
        value: The loss or score that made it the best, or None.
    """

    event: ClassVar[str] = "checkpoint"
    name: str
    path: str
    epoch: int
    step: int
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunResumed(Event):
    """A run resumes from a saved state; what it recorded after that state is gone.

    Attributes:
        run: The run's folder.
        epoch: Finished epochs.
        step: Steps taken so far.
        epochs: Total epochs.
        steps: Total steps.
        processes: How many processes share the work.
        machines: How many machines they are on.
    """

    event: ClassVar[str] = "run_resumed"
    run: str
    epoch: int
    step: int
    epochs: int
    steps: int
    processes: int = 1
    machines: int = 1


@dataclass(frozen=True, kw_only=True)
class Notice(Event):
    """Something the user should know (memory ran out, a tracker failed, …).

    Attributes:
        message: One line.
    """

    event: ClassVar[str] = "notice"
    message: str


@dataclass(frozen=True, kw_only=True)
class LimitPassed(Event):
    """The language of val's captions has passed a limit, which ends self-critical training.

    Attributes:
        epoch: The epoch, from 1; its model is not among the best ones.
        setting: `min_distinct_words` or `max_repetition`.
        value: What was measured.
        limit: The limit.
        message: One line.
    """

    event: ClassVar[str] = "limit_passed"
    epoch: int
    setting: str
    value: float
    limit: float
    message: str


@dataclass(frozen=True, kw_only=True)
class SampleEvent(Event):
    """A caption of one image of val.

    Attributes:
        epoch: The epoch, from 1.
        image: The image's id.
        caption: The generated caption.
        references: Its human captions.
        metrics: Scores of this caption alone.
        path: The image's file; empty if pages must not show it (see `Example.outside`).
        followed: Whether it is captioned after every validation, to show progress.
    """

    event: ClassVar[str] = "sample"
    epoch: int
    image: str
    caption: str
    references: tuple[str, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    path: str = ""
    followed: bool = False

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record written by `to_dict`, of this or any earlier schema version."""
        return super().from_dict({**record, "references": tuple(record["references"])})


@dataclass(frozen=True, kw_only=True)
class TestEvent(Event):
    """The chosen model was measured on the test split.

    Attributes:
        name: The checkpoint: `best-eval` or `best-loss`.
        images: Images measured.
        loss: Mean loss per token.
        metrics: Scores by metric; empty if no captions were generated.
        sets: As in `EpochEvent`, of the test splits.
    """

    __test__: ClassVar[bool] = False  # not a test, whatever pytest thinks of the name
    event: ClassVar[str] = "test"
    name: str
    images: int
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    sets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """Training is over.

    Attributes:
        run: The run's folder.
        epochs: Epochs done.
        steps: Steps taken.
        seconds: Duration of the whole run.
        best_loss: Lowest loss on val, or None.
        best_eval: The score on val of the model `best-eval`, or None.
        eval_metric: The name of that score.
    """

    event: ClassVar[str] = "run_finished"
    run: str
    epochs: int
    steps: int
    seconds: float
    best_loss: float | None = None
    best_eval: float | None = None
    eval_metric: str = ""


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """A stage begins or resumes; the events that follow are its own.

    Attributes:
        run: The whole run's folder.
        path: The stage's folder, like that of an ordinary run.
        stage: The stage's name.
        number: Its number, from 1.
        count: Total stages.
        init: The model it starts from; empty for a new one.
        steps_before: Steps of earlier stages; each stage counts from 1.
        epochs_before: Epochs of earlier stages.
    """

    event: ClassVar[str] = "stage_started"
    run: str
    path: str
    stage: str
    number: int
    count: int
    init: str = ""
    steps_before: int = 0
    epochs_before: int = 0


@dataclass(frozen=True, kw_only=True)
class StageFinished(Event):
    """A stage is over.

    Attributes:
        stage: The stage's name.
        number: Its number, from 1.
        epochs: Its epochs.
        steps: Its steps.
        seconds: Its duration.
        best_loss: Its lowest loss on val, or None.
        best_eval: The score on val of its model `best-eval`, or None.
        eval_metric: The name of that score.
    """

    event: ClassVar[str] = "stage_finished"
    stage: str
    number: int
    epochs: int
    steps: int
    seconds: float
    best_loss: float | None = None
    best_eval: float | None = None
    eval_metric: str = ""


_EVENTS: tuple[type[Event], ...] = (
    RunCreated,
    RunStarted,
    PreparationEvent,
    StepEvent,
    EpochEvent,
    CheckpointSaved,
    RunResumed,
    Notice,
    LimitPassed,
    SampleEvent,
    TestEvent,
    StageStarted,
    StageFinished,
    RunFinished,
)


def event_from_dict(record: Mapping[str, Any]) -> Event | None:
    """Read a line of `events.jsonl`; None for a kind that this version does not know."""
    name = record.get("event", "")
    kind = next((kind for kind in _EVENTS if kind.event == name), None)
    return None if kind is None else kind.from_dict(record)
