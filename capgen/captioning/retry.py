"""Captions for prepared images: tried again where they are empty or repeat themselves, and
chosen to differ where that is asked for.

Works on any `Speaker`; what it tries for one image does not depend on the others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.runtimes.base import Speaker
from capgen.config import DecodeSettings
from capgen.records import Retry

Pixels = NDArray[np.float32]

EMPTY, REPEATING = "empty", "repeating"
# Shortest caption that is tried in place of an empty one, in tokens, start and end included.
_SHORTEST = 6
# Which run of tokens is not said twice, and the penalty of words said: in the first try, in the
# second. Harder ones (all words new, a penalty at once) made captions worse than the repetition
# that they cured: docs/captioning.md.
_TRIES = ((0, 1.0), (2, 1.2))
_TRIES_AT_REPETITION = ((2, 1.0), (2, 1.2))
# This often the same word is said by a stuck model, not by a description.
_OFTEN = 4
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class Said:
    """A hypothesis in words: its text, and what each token adds to it."""

    hypothesis: Hypothesis
    text: str
    parts: tuple[str, ...]


@dataclass
class Attempt:
    """The captions of one image, best first.

    Attributes:
        captions: The captions.
        retry: What was wrong with others and was tried again, or None.
    """

    captions: list[Said] = field(default_factory=list)
    retry: Retry | None = None


def caption_pixels(runtime: Speaker, pixels: Pixels, settings: DecodeSettings) -> list[Attempt]:
    """Caption pixels (B, 3, H, W) with `settings.num_captions` captions each."""
    # To choose from, a search gives all that it finds.
    wide = replace(settings, num_captions=settings.beams) if settings.diverse else settings
    found = [_spoken(runtime, one) for one in runtime.generate(pixels, wide)]
    if settings.retry:
        attempts = _put_right(runtime, pixels, found, settings, wide)
    else:
        attempts = [Attempt(one) for one in found]
    if settings.diverse:
        for attempt in attempts:
            attempt.captions = _different(attempt.captions, settings.num_captions)
    return attempts


def fault(text: str) -> str:
    """Say what is wrong with a caption: `empty`, `repeating`, or nothing (an empty string).

    It repeats itself if a run of words follows itself at once ("in the snow in the snow"), or
    if it says one word of four letters or more four times.
    """
    words = _WORD.findall(text.lower())
    if not words:
        return EMPTY
    if any(
        words[start : start + size] == words[start + size : start + 2 * size]
        for size in range(1, len(words) // 2 + 1)
        for start in range(len(words) - 2 * size + 1)
        if size > 1 or words[start].isalpha()
    ):
        return REPEATING
    often = Counter(word for word in words if len(word) > 3)
    return REPEATING if often and max(often.values()) >= _OFTEN else ""


def _spoken(runtime: Speaker, hypotheses: Sequence[Hypothesis]) -> list[Said]:
    said = []
    for one in hypotheses:
        text, parts = runtime.texts(one.ids)
        said.append(Said(one, text, tuple(parts)))
    return said


def _put_right(
    runtime: Speaker,
    pixels: Pixels,
    found: list[list[Said]],
    settings: DecodeSettings,
    wide: DecodeSettings,
) -> list[Attempt]:
    """Set faulty captions aside, and caption again the images that then lack some."""
    attempts, rejected = [], []
    for captions in found:
        faulty = [said for said in captions if fault(said.text)]
        rejected.append(faulty)
        attempts.append(Attempt([said for said in captions if said not in faulty]))
    wanted = settings.num_captions
    # A search may also find fewer than asked for: nothing is wrong with those.
    lacking = [
        row for row, one in enumerate(attempts) if rejected[row] and len(one.captions) < wanted
    ]
    for reason in (EMPTY, REPEATING):
        rows = [row for row in lacking if fault(rejected[row][0].text) == reason]
        for changes in _other_settings(wide, reason):
            if not rows:
                break
            again = runtime.generate(pixels[rows], replace(wide, **changes))
            for row, hypotheses in zip(rows, again, strict=True):
                _add(attempts[row], _spoken(runtime, hypotheses), len(found[row]))
                attempts[row].retry = Retry(
                    reason=reason,
                    rejected=tuple(said.text for said in rejected[row]),
                    settings=changes,
                    resolved=len(attempts[row].captions) >= wanted,
                )
            rows = [row for row in rows if len(attempts[row].captions) < wanted]
        for row in rows:
            attempts[row].captions += rejected[row][: wanted - len(attempts[row].captions)]
    return attempts


def _other_settings(settings: DecodeSettings, reason: str) -> Iterator[dict[str, Any]]:
    """Yield the changes for a second and a third try: milder ones first."""
    tries = _TRIES_AT_REPETITION if reason == REPEATING else _TRIES
    for number, (size, penalty) in enumerate(tries):
        changes: dict[str, Any] = {}
        if reason == EMPTY:
            shortest = min(_SHORTEST, settings.max_length)
            changes["min_length"] = max(settings.min_length, shortest)
        if size:
            changes["no_repeat_ngram_size"] = min(settings.no_repeat_ngram_size or size, size)
        if penalty > 1:
            changes["repetition_penalty"] = max(settings.repetition_penalty, penalty)
        if settings.sample and settings.seed is not None:
            changes["seed"] = settings.seed + number
        yield changes


def _add(attempt: Attempt, others: Sequence[Said], most: int) -> None:
    """Add faultless captions that are not there yet."""
    for said in others:
        there = {known.text for known in attempt.captions}
        if len(there) < most and said.text not in there and not fault(said.text):
            attempt.captions.append(said)


def _different(captions: list[Said], count: int) -> list[Said]:
    from capgen.captioning.diversity import choose
    from capgen.captioning.word_overlap import meaning

    meanings = [meaning(said.text) for said in captions]
    hypotheses = [said.hypothesis for said in captions]
    scores = [one.log_probability / max(len(one.ids), 1) for one in hypotheses]
    chosen = choose(meanings, scores, count)
    return [captions[place] for place in sorted(chosen, key=lambda place: -scores[place])]
