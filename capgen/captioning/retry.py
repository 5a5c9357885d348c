"""Captions for prepared images: generated again where they are empty or repeat themselves, and
chosen to differ where that is asked for.

What is tried for one image does not depend on the others in its batch.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.hypotheses import Hypothesis, token_texts
from capgen.captioning.runtimes.base import Generated, Runtime
from capgen.config import DecodeSettings
from capgen.records import Retry

logger = logging.getLogger(__name__)

Pixels = NDArray[np.float32]

EMPTY, REPEATING = "empty", "repeating"
# Shortest caption that is tried in place of an empty one, in tokens, start and end included.
_SHORTEST = 6
# Which run of tokens is not said twice, and the penalty of words said: in the first retry, in the
# second. Harder ones (all words new, a penalty at once) made captions worse than the repetition
# that they cured: docs/captioning.md.
_RETRIES = {EMPTY: ((0, 1.0), (2, 1.2)), REPEATING: ((2, 1.0), (2, 1.2))}
# A description does not use the same word this often; a stuck model does.
_OFTEN = 4
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class DecodedHypothesis:
    """A hypothesis as text, and what each token adds to it."""

    hypothesis: Hypothesis
    text: str
    parts: tuple[str, ...]


@dataclass
class ImageCaptions:
    """The captions of one image, best first.

    Attributes:
        captions: The captions.
        retry: What was wrong with others and was tried again, or None.
    """

    captions: list[DecodedHypothesis]
    retry: Retry | None = None


def caption_pixels(
    runtime: Runtime, pixels: Pixels, settings: DecodeSettings
) -> tuple[list[ImageCaptions], Generated]:
    """Caption pixels (B, 3, H, W) with `settings.num_captions` captions each.

    Returns:
        The captions of each image, and what the model generated first, before any retry.
    """
    generated = runtime.generate(pixels, settings)
    # Captions that differ are chosen from all that a search finds.
    count = settings.beams if settings.diverse else settings.num_captions
    found = [ImageCaptions(_decoded(runtime, one[:count])) for one in generated.hypotheses]
    if settings.retry:
        _retry_faulty(runtime, pixels, found, settings, count)
    if settings.diverse:
        for image in found:
            image.captions = _different(image.captions, settings.num_captions)
    return found, generated


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


def _decoded(runtime: Runtime, hypotheses: Sequence[Hypothesis]) -> list[DecodedHypothesis]:
    decoded = []
    for one in hypotheses:
        text, parts = token_texts(runtime.decode, one.ids)
        decoded.append(DecodedHypothesis(one, text, tuple(parts)))
    return decoded


def _retry_faulty(
    runtime: Runtime,
    pixels: Pixels,
    found: list[ImageCaptions],
    settings: DecodeSettings,
    count: int,
) -> None:
    """Replace faulty captions in `found`: caption the images that then lack some again.

    Args:
        runtime: The model.
        pixels: (B, 3, H, W), the images.
        found: Their captions.
        settings: How to decode.
        count: Captions to look at of each image that is captioned again.
    """
    sizes = [len(image.captions) for image in found]
    rejected = [[one for one in image.captions if fault(one.text)] for image in found]
    for image in found:
        image.captions = [one for one in image.captions if not fault(one.text)]
    wanted = settings.num_captions
    # A search may also find fewer than asked for: nothing is wrong with those.
    lacking = [row for row, one in enumerate(found) if rejected[row] and len(one.captions) < wanted]
    for reason in (EMPTY, REPEATING):
        rows = [row for row in lacking if fault(rejected[row][0].text) == reason]
        for changes in _retry_settings(settings, reason):
            if not rows:
                break
            logger.debug("%d captions are %s: trying again with %s", len(rows), reason, changes)
            again = runtime.generate(pixels[rows], replace(settings, **changes))
            for row, hypotheses in zip(rows, again.hypotheses, strict=True):
                _add(found[row], _decoded(runtime, hypotheses[:count]), sizes[row])
                found[row].retry = Retry(
                    reason=reason,
                    rejected=tuple(one.text for one in rejected[row]),
                    settings=changes,
                    resolved=len(found[row].captions) >= wanted,
                )
            rows = [row for row in rows if len(found[row].captions) < wanted]
        for row in rows:
            found[row].captions += rejected[row][: wanted - len(found[row].captions)]


def _retry_settings(settings: DecodeSettings, reason: str) -> Iterator[dict[str, Any]]:
    """Yield the changes of settings for the first and the second retry, the milder ones first."""
    for number, (size, penalty) in enumerate(_RETRIES[reason]):
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


def _add(image: ImageCaptions, others: Sequence[DecodedHypothesis], most: int) -> None:
    """Add faultless captions that are not there yet."""
    for new in others:
        there = {known.text for known in image.captions}
        if len(there) < most and new.text not in there and not fault(new.text):
            image.captions.append(new)


def _different(captions: list[DecodedHypothesis], count: int) -> list[DecodedHypothesis]:
    from capgen.captioning.diversity import choose
    from capgen.captioning.word_overlap import meaning

    meanings = [meaning(one.text) for one in captions]
    hypotheses = [one.hypothesis for one in captions]
    scores = [one.log_probability / max(len(one.ids), 1) for one in hypotheses]
    chosen = choose(meanings, scores, count)
    return [captions[place] for place in sorted(chosen, key=lambda place: -scores[place])]
