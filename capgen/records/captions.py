"""Captions and failures, with their JSON form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from capgen.records.caption_parts import (
    Concept,
    Retry,
    Token,
    Unwritten,
    Usage,
    Word,
    concepts_to_list,
    notes_to_text,
    read_concepts,
    read_notes,
    read_retry,
    read_token,
    read_unwritten,
    read_usage,
    retry_to_dict,
    token_to_dict,
    unwritten_to_dict,
    without_nulls,
    words_of,
)
from capgen.records.notebooks import caption_html
from capgen.records.reviews import Review

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of the other JSON that capgen writes: events, reports, journals of reviews.
SCHEMA_VERSION = 1
# Of records. In version 2 a field has one type from a file's first line to its last, or is left
# out, as Arrow needs it (Hugging Face's `datasets`): nothing is null but the path of an image in
# memory and the caption of a failure. What few records have is text, or an object of text.
RECORD_VERSION = 2
# Settings that change the text of captions. Records of such a run all have `raw_caption`.
_EDITS = ("prefix", "suffix", "replace", "trim_openings")


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
        review: What a person decided about it, or None. The text is then what the person accepted
            or wrote; tokens and scores remain the model's. The JSON form lacks it if it is None.
        thumbnail: A small copy of the image (WebP), which notebooks show; only of what
            `Captioner.caption` returns. Not in the JSON form.
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
    review: Review | None = None
    thumbnail: bytes | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """Return the text of the caption."""
        return self.text

    def _repr_html_(self) -> str:
        """Return what notebooks show: the image, the caption, and the confidence if it is known."""
        return caption_html(self.text, self.thumbnail, self.confidence, self.path)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words, joined from tokens: one that begins with a space begins a word."""
        return words_of(self.tokens)

    @property
    def reviewed(self) -> bool:
        """Whether a person accepted the text, or wrote it."""
        return self.review is not None and self.review.kept

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        edits = any(self.settings.get(name) for name in _EDITS) or any(
            caption.raw is not None for caption in (self, *self.alternatives)
        )
        alternatives = [_generated(other, edits=edits) for other in self.alternatives]
        return {
            "schema_version": RECORD_VERSION,
            "path": self.path,
            **_generated(self, edits=edits),
            **({"alternatives": alternatives} if alternatives else {}),
            **without_nulls({"width": self.width, "height": self.height}),
            **_origin(self),
            "notes": notes_to_text(self.notes),
            "retry": retry_to_dict(self.retry),
            **without_nulls({"confidence": self.confidence}),
            "error": unwritten_to_dict(self.unwritten),
            **without_nulls({"prompt": self.prompt}),
            **({} if self.usage is None else {"usage": dataclasses.asdict(self.usage)}),
            **({} if not self.concepts else {"concepts": concepts_to_list(self.concepts)}),
            **({} if self.review is None else {"review": self.review.to_record()}),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read a record written by `to_dict`, of this or any earlier schema version."""
        return cls(
            **_read_origin(record),
            text=record["caption"],
            raw=_read_raw(record),
            # The lines of a gallery's export have no tokens and no log-probability.
            log_probability=record.get("log_probability"),
            score=record.get("score"),
            tokens=tuple(read_token(item) for item in record.get("tokens", ())),
            alternatives=tuple(cls.from_dict(item) for item in record.get("alternatives", ())),
            width=record.get("width"),
            height=record.get("height"),
            notes=read_notes(record.get("notes")),
            retry=read_retry(record.get("retry")),
            unwritten=read_unwritten(record.get("error")),
            prompt=record.get("prompt"),
            usage=read_usage(record.get("usage")),
            concepts=read_concepts(record.get("concepts") or ()),
            review=_read_review(record),
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
        """Whether it was a server's or the machine's fault: a later run tries again."""
        return self.code in ("unavailable", "memory")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        return {
            "schema_version": RECORD_VERSION,
            "path": self.path,
            "caption": None,
            **_origin(self),
            **without_nulls({"confidence": self.confidence}),
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


def _generated(caption: Caption, *, edits: bool) -> dict[str, Any]:
    tokens = [token_to_dict(token) for token in caption.tokens]
    raw = caption.raw
    if raw is None and edits:
        raw = _proposed(caption.text, caption.review)
    return {
        "caption": caption.text,
        **without_nulls(
            {"raw_caption": raw, "score": caption.score, "log_probability": caption.log_probability}
        ),
        **({"tokens": tokens} if tokens else {}),
    }


def _origin(record: Record) -> dict[str, Any]:
    return {
        **without_nulls({"sha256": record.sha256}),
        "model": record.model,
        "revision": record.revision,
        "settings": without_nulls(record.settings),
    }


def _read_origin(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that captions and failures share."""
    return {
        "path": record.get("path"),
        "sha256": record.get("sha256"),
        "model": record.get("model", ""),
        "revision": record.get("revision", ""),
        "settings": without_nulls(record.get("settings") or {}),
        "confidence": record.get("confidence"),
    }


def _read_review(record: Mapping[str, Any]) -> Review | None:
    """Return a record's review; the edited lines of a gallery's export have `original` instead."""
    review, caption = record.get("review"), record["caption"]
    if review is not None and review["verdict"]:  # empty in files where other records have one
        return Review.from_dict(review, caption)
    if "original" not in record:
        return None
    return Review(verdict="edited", proposed=record["original"], caption=caption)


def _read_raw(record: Mapping[str, Any]) -> str | None:
    """Return what the model said, if it is not the caption."""
    raw: str | None = record.get("raw_caption")
    if raw is None:
        return None
    return None if raw == _proposed(record["caption"], _read_review(record)) else raw


def _proposed(text: str, review: Review | None) -> str:
    """Return the model's caption, which a person may have edited."""
    return text if review is None else review.proposed or ""
