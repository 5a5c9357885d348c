"""Captions and failures, with their JSON form."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Token:
    """One generated token.

    Attributes:
        id: Index into the model's vocabulary; None if a server does not tell.
        text: What the token adds to the caption (empty for the end token).
        log_probability: Natural logarithm of the probability that decoding gave it.
    """

    id: int | None
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
        places: Positions of its tokens in the caption.
        probability: Product of its tokens' probabilities.
    """

    text: str
    places: tuple[int, ...]
    probability: float


@dataclass(frozen=True)
class Concept:
    """A noun that a caption of an image may say, such as "dog" or "teddy bear".

    Attributes:
        name: The noun.
        probability: Probability that a person's caption of the image says it, as the model's
            concept head judges. Concepts do not exclude each other.
    """

    name: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Retry:
    """An image was captioned again, because captions were empty or repeated themselves.

    Attributes:
        reason: What was wrong with the first of them: `empty` or `repeating`.
        rejected: The captions that were rejected.
        settings: Decoding settings that were changed for the last attempt.
        resolved: Whether other captions replaced them; if not, the first ones were kept.
    """

    reason: str
    rejected: tuple[str, ...]
    settings: Mapping[str, Any]
    resolved: bool


@dataclass(frozen=True, kw_only=True)
class Unwritten:
    """An image was captioned, but the caption could not be written everywhere.

    Attributes:
        code: Stable name of the first such place: `sidecar` or `metadata`.
        message: What went wrong, for people.
    """

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What captioning an image took, as a model server counts it.

    Attributes:
        prompt_tokens: Tokens of image and prompt.
        completion_tokens: Generated tokens, thinking included.
    """

    prompt_tokens: int
    completion_tokens: int

    @property
    def total(self) -> int:
        """All tokens."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class WriteOutcome:
    """What became of a caption that was to be written beside an image or into it.

    Attributes:
        problem: Why it was not written, or an empty string.
        kept: Whether it was not written because what is there stays.
        refused: Whether the problem is the image itself: its format, or damaged metadata.
    """

    problem: str = ""
    kept: bool = False
    refused: bool = False

    @property
    def written(self) -> bool:
        """Whether the caption is where it should be."""
        return not self.problem and not self.kept


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A sentence about one image.

    Attributes:
        path: The image as the caller named it, or None for images in memory.
        text: The caption.
        raw: What the model said, if the text was changed afterwards, such as by a prefix; else
            None. The tokens are those of this text. `raw_caption` in the JSON form, which lacks
            it if it is None.
        log_probability: Sum of the tokens' log-probabilities, end token included; None if a
            server does not tell.
        score: `log_probability / len(tokens) ** length_penalty`: what beam search ranks by.
            None without log-probabilities.
        tokens: The generated tokens, end token included when it was generated.
        alternatives: Further captions, best first, when more than one was asked for.
        width: Width of the image in pixels, as displayed (after EXIF orientation).
        height: Height of the image in pixels, as displayed.
        sha256: Hash of the file's bytes in hex, or None if it was not computed.
        model: Name or folder of the model.
        revision: Commit of the model's repository, or `sha256:…` of its files, or the address
            of its server; may be empty.
        settings: The decoding settings that were used.
        notes: What was changed, such as a clamped length, in plain words.
        retry: How it was captioned again, or None.
        attention: (words, rows, columns) float32: for each of `words`, the share of attention
            that each part of the image got; None unless asked for. Not in the JSON form.
        confidence: Calibrated probability that the caption is good; None if it was not asked
            for or the model is not calibrated for these settings.
        unwritten: What could not be written beside the image or into it, or None; `error` in
            the JSON form.
        prompt: What the model was asked about this image, or None if nothing was asked for. Only
            then in the JSON form, too.
        usage: What it took of a model server, or None.
        concepts: What the image shows, likeliest first, whether or not the caption says it; empty
            if the model has no concept head. The JSON form lacks it if it is empty.
    """

    path: str | None = None
    text: str
    raw: str | None = None
    log_probability: float | None
    score: float | None
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
    confidence: float | None = None
    unwritten: Unwritten | None = None
    prompt: str | None = None
    usage: Usage | None = None
    concepts: tuple[Concept, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """The words, joined from tokens: one that begins with a space begins a word."""
        return _words(self.tokens)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        unwritten = self.unwritten
        return {
            "schema_version": SCHEMA_VERSION,
            "path": self.path,
            **_generated(self),
            "alternatives": [_generated(other) for other in self.alternatives],
            "width": self.width,
            "height": self.height,
            **_origin(self),
            "notes": list(self.notes),
            "retry": None if self.retry is None else _retry_to_dict(self.retry),
            "confidence": self.confidence,
            "error": None if unwritten is None else {**dataclasses.asdict(unwritten), "hint": ""},
            **({} if self.prompt is None else {"prompt": self.prompt}),
            "usage": None if self.usage is None else dataclasses.asdict(self.usage),
            # Only where there are any: the records of other models are as they were.
            **({} if not self.concepts else {"concepts": _concepts_to_list(self.concepts)}),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record written by `to_dict`, of this or any earlier schema version."""
        return cls(
            **_read_origin(record),
            text=record["caption"],
            raw=record.get("raw_caption"),
            log_probability=record["log_probability"],
            score=record["score"],
            tokens=tuple(_token(item) for item in record.get("tokens", ())),
            alternatives=tuple(cls.from_dict(item) for item in record.get("alternatives", ())),
            width=record.get("width"),
            height=record.get("height"),
            notes=tuple(record.get("notes", ())),
            retry=_retry(record.get("retry")),
            unwritten=_unwritten(record.get("error")),
            prompt=record.get("prompt"),
            usage=_usage(record.get("usage")),
            concepts=_concepts(record.get("concepts") or ()),
        )


@dataclass(frozen=True, kw_only=True)
class CaptionFailure:
    """An image without a caption: it could not be read, or the confidence is too low.

    Attributes:
        path: The image as the caller named it, or None for images in memory.
        code: Stable name of the fault (see `capgen.errors.ImageError`).
        message: One line for people, naming the image.
        hint: What to do about it, or an empty string.
        sha256: Hash of the file's bytes in hex, or None if they could not be read.
        model: The model that was used.
        revision: That model's revision.
        settings: The decoding settings that were used.
        confidence: The confidence, for the code `low_confidence`.
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

    @property
    def may_pass(self) -> bool:
        """Whether it was a server's fault that may pass, so that a later run tries again."""
        return self.code == "unavailable"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "path": self.path,
            "caption": None,
            **_origin(self),
            "confidence": self.confidence,
            "error": {"code": self.code, "message": self.message, "hint": self.hint},
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record written by `to_dict`, of this or any earlier schema version."""
        error = record["error"]
        return cls(
            **_read_origin(record),
            code=error["code"],
            message=error["message"],
            hint=error.get("hint", ""),
        )


Record = Caption | CaptionFailure


def record_from_dict(record: Mapping[str, Any]) -> Record:
    """Read a record of either kind.

    Raises:
        KeyError, TypeError: It is not such a record.
    """
    failed = record["caption"] is None
    return CaptionFailure.from_dict(record) if failed else Caption.from_dict(record)


def _generated(caption: Caption) -> dict[str, Any]:
    raw = {} if caption.raw is None else {"raw_caption": caption.raw}
    return {
        "caption": caption.text,
        **raw,
        "score": caption.score,
        "log_probability": caption.log_probability,
        "tokens": [dataclasses.asdict(token) for token in caption.tokens],
    }


def _origin(record: Record) -> dict[str, Any]:
    return {
        "sha256": record.sha256,
        "model": record.model,
        "revision": record.revision,
        "settings": dict(record.settings),
    }


def _read_origin(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that captions and failures share."""
    return {
        "path": record.get("path"),
        "sha256": record.get("sha256"),
        "model": record.get("model", ""),
        "revision": record.get("revision", ""),
        "settings": dict(record.get("settings", {})),
        "confidence": record.get("confidence"),
    }


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


def _unwritten(error: Mapping[str, Any] | None) -> Unwritten | None:
    return None if error is None else Unwritten(code=error["code"], message=error["message"])


def _usage(item: Mapping[str, Any] | None) -> Usage | None:
    names = ("prompt_tokens", "completion_tokens")
    return None if item is None else Usage(**{name: int(item[name]) for name in names})


def _concepts_to_list(concepts: tuple[Concept, ...]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(concept) for concept in concepts]


def _concepts(items: Sequence[Mapping[str, Any]]) -> tuple[Concept, ...]:
    return tuple(Concept(item["name"], item["probability"]) for item in items)


def _words(tokens: tuple[Token, ...]) -> tuple[Word, ...]:
    groups: list[list[int]] = []
    for place, token in enumerate(tokens):
        if not token.text:
            continue  # the end, or the first part of a character that a later token completes
        if not groups or token.text[:1].isspace():
            groups.append([])
        groups[-1].append(place)
    return tuple(
        Word(
            text="".join(tokens[place].text.strip() for place in places),
            places=tuple(places),
            probability=math.exp(sum(tokens[place].log_probability for place in places)),
        )
        for places in groups
    )
