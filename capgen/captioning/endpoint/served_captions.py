"""What a server answered about one image, as captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from capgen.captioning.caption_length import whole_sentences
from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.endpoint.answers import CUT, FILTERED, Choice
from capgen.captioning.endpoint.client import REFUSED, ImageRefusedError
from capgen.captioning.runtimes.base import NoCaption
from capgen.config import DecodeSettings
from capgen.records import Usage


@dataclass(frozen=True)
class Served:
    """The captions of one image."""

    hypotheses: list[Hypothesis]
    usage: Usage | None
    notes: tuple[str, ...]


def served_image(
    choices: Sequence[Choice],
    usage: Usage | None,
    notes: tuple[str, ...],
    settings: DecodeSettings,
) -> Served:
    """Return the captions of an image, from all choices that a server gave for it.

    Raises:
        ImageRefusedError: None of them is a caption.
    """
    good = [choice for choice in choices if choice.text and choice.ended != FILTERED]
    if not good:
        raise ImageRefusedError(_why_none(choices[0], settings))
    cut = any(choice.ended == CUT for choice in good)
    if cut:
        notes += (f"cut off at max_length {settings.max_length}",)
    hypotheses = [
        _in_time(_hypothesis(choice, settings.length_penalty), settings) for choice in good
    ]
    if all(each.log_probabilities for each in hypotheses):
        hypotheses.sort(key=lambda each: -each.score)
    return Served(hypotheses, usage, notes)


def total_usage(first: Usage | None, second: Usage) -> Usage:
    """Return what two requests took together."""
    if first is None:
        return second
    return replace(
        first,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
    )


def _hypothesis(choice: Choice, length_penalty: float) -> Hypothesis:
    ids = tuple(token.id for token in choice.tokens if token.id is not None)
    values = tuple(token.log_probability for token in choice.tokens)
    return Hypothesis(
        ids if len(ids) == len(values) else (),
        values,
        sum(values) / max(len(values), 1) ** length_penalty,
        served=choice.text,
        parts=tuple(token.text for token in choice.tokens),
    )


def _in_time(found: Hypothesis, settings: DecodeSettings) -> Hypothesis:
    """Return a hypothesis of whole sentences that are as short as asked, if there are."""
    shorter = whole_sentences(found.served or "", settings)
    if shorter == found.served:
        return found
    # How likely it was that it ends there, the server does not tell.
    return Hypothesis((), (), 0.0, served=shorter)


def _why_none(choice: Choice, settings: DecodeSettings) -> NoCaption:
    if choice.refusal:
        return NoCaption(REFUSED, f"the model refuses it ({choice.refusal})")
    if choice.ended == FILTERED:
        return NoCaption(REFUSED, "the server's filter withholds the caption")
    if choice.ended == CUT:
        message = f"the model had not begun to answer after {settings.max_length} tokens"
        return NoCaption(REFUSED, message, "Allow it more with --max-length.")
    return NoCaption(REFUSED, "the server's answer is empty")
