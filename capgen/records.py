"""The records that flow between the layers, and their JSON form.

Records are plain frozen dataclasses. What is written to disk or printed as JSON carries
`schema_version`; fields are added, never renamed or removed, and readers ignore fields
they do not know.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

SCHEMA_VERSION = 1


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
        model: Name or folder of the model.
        settings: The decoding settings that were in force.
        notes: What was changed on the way (a clamped length, say), in plain words.
    """

    path: str | None = None
    text: str
    log_probability: float
    score: float
    tokens: tuple[Token, ...] = ()
    alternatives: tuple[Caption, ...] = ()
    width: int | None = None
    height: int | None = None
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
            "model": self.model,
            "settings": dict(self.settings),
            "notes": list(self.notes),
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
            model=record.get("model", ""),
            settings=dict(record.get("settings", {})),
            notes=tuple(record.get("notes", ())),
        )


@dataclass(frozen=True, kw_only=True)
class CaptionFailure:
    """A picture that could not be captioned: failures are data.

    Attributes:
        path: The picture as the caller named it, or None for pictures in memory.
        code: Stable name of the fault (see `capgen.errors.ImageError`).
        message: One line for people, naming the picture.
        hint: What to do about it, or an empty string.
    """

    path: str | None
    code: str
    message: str
    hint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "path": self.path,
            "caption": None,
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
        )


def _token(item: Mapping[str, Any]) -> Token:
    return Token(id=item["id"], text=item["text"], log_probability=item["log_probability"])
