"""What a caption is made of besides its text, with the JSON forms."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
        code: Stable name of the first such place, `sidecar` or `metadata`, or of why the image
            is not written to at all.
        message: What went wrong, for people.
        hint: What to do about it, or an empty string.
    """

    code: str
    message: str
    hint: str = ""


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
        already: Whether it was there before, so that nothing was written.
        refused: Whether the problem is the image itself: its format, or damaged metadata.
    """

    problem: str = ""
    kept: bool = False
    already: bool = False
    refused: bool = False

    @property
    def written(self) -> bool:
        """Whether the caption is where it should be."""
        return not self.problem and not self.kept


def without_nulls(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a mapping says, without its nulls: a setting that is null was not set."""
    return {name: value for name, value in content.items() if value is not None}


def token_to_dict(token: Token) -> dict[str, Any]:
    """Return the JSON form."""
    return without_nulls(dataclasses.asdict(token))


def read_token(item: Mapping[str, Any]) -> Token:
    """Read a token's JSON form."""
    return Token(id=item.get("id"), text=item["text"], log_probability=item["log_probability"])


def notes_to_text(notes: Sequence[str]) -> str:
    """Return the JSON form: a list as text, empty if there is none."""
    return _as_text(list(notes))


def read_notes(notes: str | Sequence[str] | None) -> tuple[str, ...]:
    """Read the JSON form; in version 1 it was a list."""
    return tuple(_of_text(notes) or ())


def retry_to_dict(retry: Retry | None) -> dict[str, Any]:
    """Return the JSON form, which has the same fields of the same types where there was none."""
    if retry is None:
        return {"reason": "", "rejected": "", "settings": "", "resolved": False}
    return {
        "reason": retry.reason,
        "rejected": _as_text(list(retry.rejected)),
        "settings": _as_text(dict(retry.settings)),
        "resolved": retry.resolved,
    }


def read_retry(item: Mapping[str, Any] | None) -> Retry | None:
    """Read the JSON form; in version 1 its list and its settings were no text."""
    if item is None or not item["reason"]:
        return None
    return Retry(
        reason=item["reason"],
        rejected=tuple(_of_text(item["rejected"]) or ()),
        settings=dict(_of_text(item["settings"]) or {}),
        resolved=item["resolved"],
    )


def unwritten_to_dict(unwritten: Unwritten | None) -> dict[str, Any]:
    """Return the JSON form, which has the same fields where everything was written."""
    if unwritten is None:
        return {"code": "", "message": "", "hint": ""}
    return dataclasses.asdict(unwritten)


def read_unwritten(error: Mapping[str, Any] | None) -> Unwritten | None:
    """Read the JSON form."""
    if error is None or not error["code"]:
        return None
    hint = error.get("hint", "")
    return Unwritten(code=error["code"], message=error["message"], hint=hint)


def read_usage(item: Mapping[str, Any] | None) -> Usage | None:
    """Read the JSON form."""
    names = ("prompt_tokens", "completion_tokens")
    return None if item is None else Usage(**{name: int(item[name]) for name in names})


def concepts_to_list(concepts: tuple[Concept, ...]) -> list[dict[str, Any]]:
    """Return the JSON form."""
    return [dataclasses.asdict(concept) for concept in concepts]


def read_concepts(items: Sequence[Mapping[str, Any]]) -> tuple[Concept, ...]:
    """Read the JSON form."""
    return tuple(Concept(item["name"], item["probability"]) for item in items)


def words_of(tokens: tuple[Token, ...]) -> tuple[Word, ...]:
    """Join tokens to words: a token that begins with a space begins one."""
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


def _as_text(content: list[Any] | dict[str, Any]) -> str:
    """Return JSON as text: an empty list has no type for Arrow, and text always has one."""
    return json.dumps(content, ensure_ascii=False) if content else ""


def _of_text(content: Any) -> Any:
    if not isinstance(content, str):
        return content
    return json.loads(content) if content else None
