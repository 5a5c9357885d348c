"""Captions of prepared images: retried if they are empty or repetitive, chosen to differ if asked.

What is tried for one image does not depend on the others in its batch.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from capgen.captioning.articles import with_fitting_articles
from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.decoding.token_texts import text_and_parts
from capgen.captioning.runtimes.base import Generated, ModelInput, NoCaption, Runtime
from capgen.config import DecodeSettings
from capgen.records import Caption, Retry, Token

logger = logging.getLogger(__name__)

EMPTY, REPEATING = "empty", "repeating"
# Minimum length of the retry of an empty caption, in tokens, start and end included.
_SHORTEST = 6
# `no_repeat_ngram_size` and `repetition_penalty` of the first and the second retry. Stricter ones
# (no word twice, a penalty at once) made captions worse than the repetition: docs/benchmarks.md.
_RETRIES = {EMPTY: ((0, 1.0), (2, 1.2)), REPEATING: ((2, 1.0), (2, 1.2))}
# Only a stuck model uses a word of four letters or more this often.
_OFTEN = 4
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass
class _ImageCaptions:
    """The captions of one image, best first, and what was retried for it, or None.

    `given` is the number of tokens that they begin with and that were not generated.
    """

    captions: list[Caption]
    given: int
    retry: Retry | None = None


def caption_inputs(
    runtime: Runtime, inputs: Sequence[ModelInput], settings: DecodeSettings
) -> tuple[list[Caption | NoCaption], Generated]:
    """Caption prepared images with `settings.num_captions` captions each.

    Returns:
        The best caption of each image with the others as alternatives, or why there is none; and
        what the model generated first, before any retry.
    """
    generated = runtime.generate(inputs, settings)
    # Diverse captions are chosen from all that a search finds.
    count = settings.beams if settings.diverse else settings.num_captions
    images = [
        _ImageCaptions(
            _captions(runtime, each.start, found[:count], settings),
            len(found[0].prefix) if found else 0,
        )
        for each, found in zip(inputs, generated.hypotheses, strict=True)
    ]
    if settings.retry:
        _retry_faulty(runtime, inputs, images, settings, count)
    if settings.diverse:
        for image in images:
            image.captions = _diverse(image.captions, settings.num_captions)
    return [_best(image, place, generated) for place, image in enumerate(images)], generated


def fault(text: str, generated: str | None = None) -> str:
    """Return what is wrong with a caption: `empty`, `repeating`, or "" if nothing is.

    A caption is empty if no words of it were generated. It repeats itself if a run of words
    follows itself at once ("in the snow in the snow"), or if it has one word of four letters or
    more four times. What the words that it had to begin with repeat among themselves is no fault.

    Args:
        text: The caption.
        generated: What the model generated of it; by default all of it.
    """
    generated = text if generated is None else generated
    if not _WORD.search(generated):
        return EMPTY
    given = text.removesuffix(generated.strip())
    judged = generated if _repeats(given) else text
    return REPEATING if _repeats(judged) else ""


def _fault_of(caption: Caption, given: int) -> str:
    """Return what is wrong with a caption that begins with so many given tokens."""
    generated = "".join(token.text for token in caption.tokens) if given else None
    return fault(caption.text, generated)


def _repeats(text: str) -> bool:
    words = _WORD.findall(text.lower())
    if any(
        words[start : start + size] == words[start + size : start + 2 * size]
        for size in range(1, len(words) // 2 + 1)
        for start in range(len(words) - 2 * size + 1)
        if size > 1 or words[start].isalpha()
    ):
        return True
    often = Counter(word for word in words if len(word) > 3)
    return bool(often) and max(often.values()) >= _OFTEN


def _best(image: _ImageCaptions, place: int, generated: Generated) -> Caption | NoCaption:
    """Return an image's first caption with all that is known about it, or why there is none."""
    if place in generated.failures:
        return generated.failures[place]
    best, *others = image.captions
    return replace(
        best,
        alternatives=tuple(others),
        retry=image.retry,
        usage=generated.usage.get(place),
        notes=(*best.notes, *generated.notes.get(place, ())),
        concepts=generated.concepts[place] if generated.concepts else (),
    )


def _captions(
    runtime: Runtime, start: str, hypotheses: Sequence[Hypothesis], settings: DecodeSettings
) -> list[Caption]:
    captions = []
    # Only a search that favours nouns leaves articles that do not fit.
    fits_articles = runtime.gives_concepts and settings.concept_bonus > 0
    for each in hypotheses:
        text, parts = text_and_parts(runtime.decode, each, start)
        if fits_articles:
            given = text.removesuffix("".join(parts).strip())
            parts = with_fitting_articles(parts)
            text = given + "".join(parts).strip()
        known = bool(each.log_probabilities)
        ids: Sequence[int | None] = each.ids or [None] * len(parts)
        tokens = tuple(
            Token(id=token, text=part, log_probability=value)
            for token, part, value in zip(ids, parts, each.log_probabilities, strict=True)
        )
        captions.append(
            Caption(
                text=text,
                log_probability=each.log_probability if known else None,
                score=each.score if known else None,
                tokens=tokens,
                notes=(f"cut off at max_length {settings.max_length}",) if each.cut else (),
            )
        )
    return captions


def _retry_faulty(
    runtime: Runtime,
    inputs: Sequence[ModelInput],
    images: list[_ImageCaptions],
    settings: DecodeSettings,
    count: int,
) -> None:
    """Replace the faulty captions of `images` (from `inputs`), `count` new ones at a time."""
    sizes = [len(image.captions) for image in images]
    rejected = [
        [each for each in image.captions if _fault_of(each, image.given)] for image in images
    ]
    for image in images:
        image.captions = [each for each in image.captions if not _fault_of(each, image.given)]
    wanted = settings.num_captions
    # A search may also find fewer than asked for, which is not a fault.
    lacking = [n for n, image in enumerate(images) if rejected[n] and len(image.captions) < wanted]
    kinds = {
        row: (_fault_of(rejected[row][0], images[row].given), images[row].given) for row in lacking
    }
    for reason, given in sorted(set(kinds.values())):
        rows = [row for row in lacking if kinds[row] == (reason, given)]
        for changes in _retry_settings(settings, reason, given):
            if not rows:
                break
            logger.debug("%d captions are %s: retrying with %s", len(rows), reason, changes)
            again = runtime.generate([inputs[row] for row in rows], replace(settings, **changes))
            for row, hypotheses in zip(rows, again.hypotheses, strict=True):
                new = _captions(runtime, inputs[row].start, hypotheses[:count], settings)
                _add(images[row], new, sizes[row])
                images[row].retry = Retry(
                    reason=reason,
                    rejected=tuple(each.text for each in rejected[row]),
                    settings=changes,
                    resolved=len(images[row].captions) >= wanted,
                )
            rows = [row for row in rows if len(images[row].captions) < wanted]
        for row in rows:
            images[row].captions += rejected[row][: wanted - len(images[row].captions)]


def _retry_settings(settings: DecodeSettings, reason: str, given: int) -> Iterator[dict[str, Any]]:
    """Yield the changed settings of the first and the second retry, the milder ones first.

    `given` tokens of the captions are not generated.
    """
    for number, (size, penalty) in enumerate(_RETRIES[reason]):
        changes: dict[str, Any] = {}
        if reason == EMPTY:
            shortest = min(_SHORTEST + given, settings.max_length)
            changes["min_length"] = max(settings.min_length, shortest)
        if size:
            changes["no_repeat_ngram_size"] = min(settings.no_repeat_ngram_size or size, size)
        if penalty > 1:
            changes["repetition_penalty"] = max(settings.repetition_penalty, penalty)
        if settings.sample and settings.seed is not None:
            changes["seed"] = settings.seed + number
        yield changes


def _add(image: _ImageCaptions, others: Sequence[Caption], limit: int) -> None:
    """Add new captions without a fault."""
    for new in others:
        texts = {known.text for known in image.captions}
        if len(texts) < limit and new.text not in texts and not _fault_of(new, image.given):
            image.captions.append(new)


def _diverse(captions: list[Caption], count: int) -> list[Caption]:
    from capgen.captioning.diversity import choose, meaning

    meanings = [meaning(each.text) for each in captions]
    scores = [(each.log_probability or 0.0) / max(len(each.tokens), 1) for each in captions]
    chosen = choose(meanings, scores, count)
    return [captions[place] for place in sorted(chosen, key=lambda place: -scores[place])]
