"""The records that flow between the layers, and their JSON form.

Records are plain frozen dataclasses. What is written to disk or printed as JSON carries
`schema_version`; fields are added, never renamed or removed, and readers ignore fields
they do not know.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: of a model, of a tracker, of the installation.

    Attributes:
        name: What it is.
        ok: Whether it is right; None where there is nothing to judge.
        detail: What was found.
        cure: What to do where it is not right.
    """

    name: str
    ok: bool | None
    detail: str
    cure: str = ""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One picture of a data set with its human captions.

    Attributes:
        image_id: Name of the picture within its data set (for Flickr8k the file name).
        image: Path of the picture.
        references: Human captions, as written in the source.
        split: `train`, `val`, `test` or `none`.
    """

    image_id: str
    image: Path
    references: tuple[str, ...]
    split: str


@dataclass(frozen=True, kw_only=True)
class Token:
    """One generated token.

    Attributes:
        id: Index into the model's vocabulary.
        text: What the token adds to the caption (empty for the end token).
        log_probability: Natural logarithm of the probability that decoding gave it.
    """

    id: int
    text: str
    log_probability: float

    @property
    def probability(self) -> float:
        """Probability that decoding gave the token."""
        return math.exp(self.log_probability)


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word of a caption.

    Attributes:
        text: The word, with the punctuation that follows it.
        places: Where its tokens are among the caption's tokens.
        probability: Product of its tokens' probabilities.
    """

    text: str
    places: tuple[int, ...]
    probability: float


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Captions were empty or repeated themselves, so that the picture was captioned again.

    Attributes:
        reason: What was wrong with the first of them: `empty` or `repeating`.
        rejected: The captions that were set aside.
        settings: Decoding settings that were changed for the last try.
        resolved: Whether other captions took their places; if not, the first ones stayed.
    """

    reason: str
    rejected: tuple[str, ...]
    settings: Mapping[str, Any]
    resolved: bool


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A sentence about one picture.

    Attributes:
        path: The picture as the caller named it, or None for pictures in memory.
        text: The caption.
        log_probability: Sum of the tokens' log-probabilities, end token included.
        score: `log_probability / len(tokens) ** length_penalty`: what beam search ranks by.
        tokens: The generated tokens, end token included when it was generated.
        alternatives: Further captions, best first, when more than one was asked for.
        width: Width of the picture in pixels, as displayed (after EXIF orientation).
        height: Height of the picture in pixels, likewise.
        sha256: Hash of the file's bytes in hex, or None where it was not computed.
        model: Name or folder of the model.
        revision: Commit of the model's repository, or `sha256:…` of its files; may be empty.
        settings: The decoding settings that were in force.
        notes: What was changed on the way (a clamped length, say), in plain words.
        retry: What was tried again because captions were empty or repeated themselves, or None.
        attention: (words, rows, columns) float32, one map for each of `words` that sums to one:
            how much of its attention each part of the picture got; None unless asked for. It
            is not part of the JSON form.
        confidence: Calibrated probability that the caption is good, or None where it was not
            asked for or the model is not calibrated for these settings.
    """

    path: str | None = None
    text: str
    log_probability: float
    score: float
    tokens: tuple[Token, ...] = ()
    alternatives: tuple[Caption, ...] = ()
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    model: str = ""
    revision: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    retry: Retry | None = None
    attention: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words, put together from the tokens: a token that begins with a space begins one."""
        return _words(self.tokens)

    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "path": self.path,
            "caption": self.text,
            "score": self.score,
            "log_probability": self.log_probability,
            "tokens": [dataclasses.asdict(token) for token in self.tokens],
            "alternatives": [
                {
                    "caption": other.text,
                    "score": other.score,
                    "log_probability": other.log_probability,
                    "tokens": [dataclasses.asdict(token) for token in other.tokens],
                }
                for other in self.alternatives
            ],
            "width": self.width,
            "height": self.height,
            "sha256": self.sha256,
            "model": self.model,
            "revision": self.revision,
            "settings": dict(self.settings),
            "notes": list(self.notes),
            "retry": None if self.retry is None else _retry_to_dict(self.retry),
            "confidence": self.confidence,
            "error": None,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record written by `to_dict`, of this or any earlier schema version."""
        return cls(
            path=record.get("path"),
            text=record["caption"],
            log_probability=record["log_probability"],
            score=record["score"],
            tokens=tuple(_token(item) for item in record.get("tokens", ())),
            alternatives=tuple(cls.from_dict(item) for item in record.get("alternatives", ())),
            width=record.get("width"),
            height=record.get("height"),
            sha256=record.get("sha256"),
            model=record.get("model", ""),
            revision=record.get("revision", ""),
            settings=dict(record.get("settings", {})),
            notes=tuple(record.get("notes", ())),
            retry=_retry(record.get("retry")),
            confidence=record.get("confidence"),
        )


@dataclass(frozen=True, kw_only=True)
class CaptionFailure:
    """A picture without a caption: it could not be read, or the model is not sure enough.

    Attributes:
        path: The picture as the caller named it, or None for pictures in memory.
        code: Stable name of the fault (see `capgen.errors.ImageError`).
        message: One line for people, naming the picture.
        hint: What to do about it, or an empty string.
        sha256: Hash of the file's bytes in hex, or None where they could not be read.
        model: Model that was to caption it.
        revision: That model's revision.
        settings: The decoding settings that were in force.
        confidence: The confidence that was too low, for the code `low_confidence`.
    """

    path: str | None
    code: str
    message: str
    hint: str = ""
    sha256: str | None = None
    model: str = ""
    revision: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "path": self.path,
            "caption": None,
            "sha256": self.sha256,
            "model": self.model,
            "revision": self.revision,
            "settings": dict(self.settings),
            "confidence": self.confidence,
            "error": {"code": self.code, "message": self.message, "hint": self.hint},
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record written by `to_dict`, of this or any earlier schema version."""
        error = record["error"]
        return cls(
            path=record.get("path"),
            code=error["code"],
            message=error["message"],
            hint=error.get("hint", ""),
            sha256=record.get("sha256"),
            model=record.get("model", ""),
            revision=record.get("revision", ""),
            settings=dict(record.get("settings", {})),
            confidence=record.get("confidence"),
        )


Record = Caption | CaptionFailure


def record_from_dict(record: Mapping[str, Any]) -> Record:
    """Read a record of either kind.

    Raises:
        KeyError, TypeError: It is not such a record.
    """
    failed = record["caption"] is None
    return CaptionFailure.from_dict(record) if failed else Caption.from_dict(record)


def _token(item: Mapping[str, Any]) -> Token:
    return Token(id=item["id"], text=item["text"], log_probability=item["log_probability"])


def _retry_to_dict(retry: Retry) -> dict[str, Any]:
    return {**dataclasses.asdict(retry), "rejected": list(retry.rejected)}


def _retry(item: Mapping[str, Any] | None) -> Retry | None:
    if item is None:
        return None
    return Retry(
        reason=item["reason"],
        rejected=tuple(item["rejected"]),
        settings=dict(item["settings"]),
        resolved=item["resolved"],
    )


def _words(tokens: tuple[Token, ...]) -> tuple[Word, ...]:
    texts: list[str] = []
    places: list[list[int]] = []
    for place, token in enumerate(tokens):
        if not token.text:
            continue  # the end, or the first part of a character that a later token completes
        if not texts or token.text[:1].isspace():
            texts.append("")
            places.append([])
        texts[-1] += token.text.strip()
        places[-1].append(place)
    return tuple(
        Word(
            text=text,
            places=tuple(where),
            probability=math.exp(sum(tokens[place].log_probability for place in where)),
        )
        for text, where in zip(texts, places, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a training run; `event` names its kind in JSON."""

    event: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        record = {
            "schema_version": SCHEMA_VERSION,
            "event": self.event,
            **dataclasses.asdict(self),
        }
        if not record.get("sets", True):
            del record["sets"]  # only runs on several data sets have it
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record written by `to_dict`, of this or any earlier schema version."""
        known = {item.name for item in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in record.items() if name in known})


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """Training is about to begin.

    Attributes:
        run: The run's folder.
        preset: Name of the preset.
        device: Where it computes (`cpu`, `cuda`, `mps`).
        precision: `fp32`, `bf16` or `fp16`.
        parameters: Parameters of the model.
        trained: Those of them that are trained.
        images: Photos in each split.
        captions: Training captions.
        epochs: Passes over the photos.
        steps: Steps in all.
        sets: Of a run on several data sets: name → `weight`, photos in an epoch (`drawn`) and
            in each split, and the `share` of the mean that its val has.
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


@dataclass(frozen=True, kw_only=True)
class PreparationEvent(Event):
    """Work before or beside training goes on.

    Attributes:
        stage: What is done: `photos` (decoding), `features` (a frozen encoder) or `captions`
            (a teacher's).
        split: The split it is done for.
        done: Photos done.
        total: Photos in all.
    """

    event: ClassVar[str] = "preparation"
    stage: str
    split: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class StepEvent(Event):
    """Some steps were taken.

    Attributes:
        step: Steps taken so far.
        epoch: The epoch, from 1.
        loss: Mean training loss a token since the last of these events (with smoothing).
        learning_rate: Learning rate of new parts at this step.
        images_per_second: Training photos a second since the last of these events.
        memory: Most bytes that tensors took on a GPU so far, or the process on a CPU.
        numbers: What else the objective measures (mean reward, say), by name, likewise.
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
        train_loss: Mean training loss a token (with label smoothing).
        train_numbers: What else the objective measured in training, by name.
        language: What the captions of val are like: `distinct_words` and `mean_length` (words),
            `unique_captions`, `repeated_pairs` (captions that say a word pair twice) and
            `function_word_ends` (captions that break off), as shares; empty as `metrics`.
        val_loss: Mean loss a token on val (without), or None when not measured.
        metrics: Scores of captions of val, by metric; empty when not measured.
        seconds: Duration of the epoch's training.
        eval_seconds: Duration of its validation.
        sets: Of a run on several data sets: name → `images`, `loss` and scores on its val;
            `val_loss` and `metrics` are then their mean.
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
        epoch: The epoch it is from.
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
    """A run goes on from a saved state; what it had recorded after that state is gone.

    Attributes:
        run: The run's folder.
        epoch: Epochs that were over.
        step: Steps taken so far.
        epochs: Epochs in all.
        steps: Steps in all.
    """

    event: ClassVar[str] = "run_resumed"
    run: str
    epoch: int
    step: int
    epochs: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Notice(Event):
    """Something a person should know, in plain words (memory ran out, a tracker failed, …).

    Attributes:
        message: One line.
    """

    event: ClassVar[str] = "notice"
    message: str


@dataclass(frozen=True, kw_only=True)
class SampleEvent(Event):
    """What the model says about one photo of val.

    Attributes:
        epoch: The epoch, from 1.
        image: The photo's id.
        caption: The generated caption.
        references: Its human captions.
        metrics: Scores of this caption alone.
        path: The photo's file.
        followed: It is captioned after every validation, to see progress.
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
        images: Photos measured.
        loss: Mean loss a token.
        metrics: Scores by metric; empty when captions were not generated.
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
        eval_metric: What that score is.
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
    """A stage of a run in stages begins or goes on; the events that follow are its own.

    Attributes:
        run: The whole run's folder.
        path: The stage's folder, an ordinary run's.
        stage: The stage's name.
        number: Its number, from 1.
        count: Stages in all.
        init: The model it starts from; empty for a new one.
        steps_before: Steps of the stages before: a stage counts its own from 1.
        epochs_before: Epochs of the stages before, likewise.
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
    """A stage of a run in stages is over.

    Attributes:
        stage: The stage's name.
        number: Its number, from 1.
        epochs: Its epochs.
        steps: Its steps.
        seconds: Its duration.
        best_loss: Its lowest loss on val, or None.
        best_eval: The score on val of its model `best-eval`, or None.
        eval_metric: What that score is.
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
    RunStarted,
    PreparationEvent,
    StepEvent,
    EpochEvent,
    CheckpointSaved,
    RunResumed,
    Notice,
    SampleEvent,
    TestEvent,
    StageStarted,
    StageFinished,
    RunFinished,
)


def event_from_dict(record: Mapping[str, Any]) -> Event | None:
    """Read a line of `events.jsonl`; None for a kind that this version does not know."""
    kinds = {kind.event: kind for kind in _EVENTS}
    kind = kinds.get(record.get("event", ""))
    return None if kind is None else kind.from_dict(record)
