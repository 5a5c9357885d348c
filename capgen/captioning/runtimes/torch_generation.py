"""What torch runtimes share: how transformers' `generate` is called, and what it returned."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GenerationConfig, LogitsProcessorList

from capgen.captioning.decoding.concept_bonus import ConceptBonus
from capgen.captioning.decoding.ending_in_limits import ended_in_time, likeliest_end
from capgen.captioning.decoding.hypotheses import Hypothesis, hypothesis
from capgen.captioning.decoding.length_limits import LengthLimits
from capgen.captioning.decoding.noun_table import NOUN_PENALTY, NounTable
from capgen.captioning.decoding.word_rules import WordRules
from capgen.captioning.runtimes.torch_processors import (
    Concepts,
    LogProbabilities,
    NounsOnce,
    Temperature,
)
from capgen.captioning.runtimes.torch_words import word_processors
from capgen.config import DecodeSettings


def is_greedy(settings: DecodeSettings) -> bool:
    """Whether the likeliest token is taken at each step."""
    return settings.beams == 1 and not settings.sample


def generation_config(
    base: GenerationConfig, settings: DecodeSettings, **lengths: int | None
) -> GenerationConfig:
    """Return a model's generation config with the decoding settings.

    `lengths` are its `max_length` and `min_length`, or `max_new_tokens` and `min_new_tokens`.
    """
    config = GenerationConfig.from_dict(base.to_dict())
    none = dict.fromkeys(("max_length", "min_length", "max_new_tokens", "min_new_tokens"))
    config.update(
        **{**none, **lengths},
        num_beams=settings.beams,
        length_penalty=settings.length_penalty,
        repetition_penalty=settings.repetition_penalty,
        no_repeat_ngram_size=settings.no_repeat_ngram_size,
        early_stopping=settings.early_stopping,
        num_return_sequences=settings.num_captions if settings.sample else settings.beams,
        do_sample=settings.sample,
        temperature=settings.temperature if settings.sample else None,
        top_k=settings.top_k if settings.sample else None,
        top_p=settings.top_p if settings.sample else None,
        return_dict_in_generate=True,
        output_scores=True,
        # What would have ended a caption before it is too long.
        output_logits=settings.asks_for_lengths,
    )
    return config


def with_enough_beams(settings: DecodeSettings, words: WordRules, width: int) -> DecodeSettings:
    """Return settings with as many beams as the included words need; `width` is the vocabulary."""
    if settings.include_words is None or settings.sample:
        return settings
    asked = words.constraints(settings, width)
    return settings if asked is None else replace(settings, beams=asked.beams(settings.beams))


def score_processors(
    settings: DecodeSettings,
    nouns: NounTable | None,
    words: WordRules,
    *,
    counted: bool,
    starts: Sequence[tuple[int, ...]] = ((),),
    concepts: ConceptBonus | None = None,
) -> LogitsProcessorList:
    """Return what changes the scores of each step beside transformers' own processors.

    Args:
        settings: Decoding settings, with `max_length` as `word_processors` takes it.
        nouns: The nouns that a caption has once; None allows repeating them.
        words: The words of the model.
        counted: Whether what `generate` begins with is part of the caption.
        starts: For each image the last tokens of its prompt, if these are part of the caption.
        concepts: What the concepts of each image add, or None.
    """
    processors = LogitsProcessorList()
    if settings.temperature != 1.0 and not settings.sample:
        processors.append(Temperature(settings.temperature))
    processors += word_processors(words, settings, counted=counted, starts=starts)
    if is_greedy(settings) and not (nouns is None and concepts is None):
        processors.append(LogProbabilities())
    if nouns is not None:
        processors.append(NounsOnce(nouns))
    if concepts is not None:
        processors.append(Concepts(concepts))
    return processors


def hypotheses_of(
    model: Any,
    output: Any,
    settings: DecodeSettings,
    ends: Collection[int],
    nouns: NounTable | None = None,
    prefix: tuple[int, ...] = (),
    concepts: ConceptBonus | None = None,
) -> list[list[Hypothesis]]:
    """Return each image's hypotheses, best first, from what `generate` returned.

    Args:
        model: The model.
        output: What its `generate` returned.
        settings: Decoding settings.
        ends: Tokens that finish a caption.
        nouns: The nouns that `score_processors` was given.
        prefix: Tokens that captions began with.
        concepts: The bonus that `score_processors` was given.
    """
    beam_indices = getattr(output, "beam_indices", None)
    normalised = is_greedy(settings) and not (nouns is None and concepts is None)
    scores = model.compute_transition_scores(
        output.sequences,
        _without_concepts(output, settings, concepts),
        beam_indices,
        normalize_logits=beam_indices is None and not normalised,
    )
    if nouns is not None:
        nouns = nouns.of_width(output.scores[0].shape[-1])
    generated = output.sequences[:, output.sequences.shape[1] - scores.shape[1] :]
    count = settings.num_captions if settings.sample else settings.beams
    rows = zip(generated.tolist(), scores.float().tolist(), strict=True)
    flat = []
    for row, (ids, parts) in enumerate(rows):
        earned = np.zeros(len(ids), np.float32)
        if concepts is not None:
            earned = concepts.earned(np.array([*prefix, *ids]), len(prefix), row // count)
        flat.append(_hypothesis(ids, parts, settings, ends, nouns, prefix, earned))
    grouped = [flat[start : start + count] for start in range(0, len(flat), count)]
    if not settings.sample or settings.asks_for_lengths:
        return grouped  # beams come best first; limits sort captions once they end in time
    return [sorted(image, key=lambda item: -item.rank) for image in grouped]


def all_in_time(
    found: Sequence[list[Hypothesis]],
    output: Any,
    settings: DecodeSettings,
    limits: LengthLimits | None,
    ends: Sequence[int],
) -> list[list[Hypothesis]]:
    """Return each image's hypotheses, best first, all ended before they are too long.

    Args:
        found: What `hypotheses_of` returned, with the tokens that captions began with.
        output: What `generate` returned.
        settings: Decoding settings.
        limits: The most that captions may say, or None.
        ends: Tokens that finish a caption.
    """
    if limits is None:
        return list(found)
    rows = iter(range(sum(map(len, found))))
    steps = len(output.logits)
    sources = getattr(output, "beam_indices", None)
    shortened = []
    for image in found:
        own = []
        for each, row in zip(image, rows, strict=False):
            # In a beam search, a hypothesis was in another row at each step; -1 follows its end.
            places = [row] * steps if sources is None else sources[row].tolist()
            logits = [output.logits[n][max(places[n], 0)] for n in range(len(each.ids))]
            log_probs = torch.stack(logits).float().log_softmax(-1).cpu().numpy()
            tokens, values = likeliest_end(log_probs, ends)
            half = limits.phrases.half(log_probs)
            own.append(ended_in_time(each, limits, tokens, values, half, settings.length_penalty))
        shortened.append(sorted(own, key=lambda item: -item.rank))
    return shortened


def _without_concepts(
    output: Any, settings: DecodeSettings, concepts: ConceptBonus | None
) -> tuple[torch.Tensor, ...]:
    """Return the scores of each step; of samples, which are normalised, without the bonus.

    They remain those of the tokens that could be drawn.
    """
    scores: tuple[torch.Tensor, ...] = output.scores
    if concepts is None or not settings.sample:
        return scores
    begin = output.sequences.shape[1] - len(scores)
    processor = Concepts(concepts)
    plain = []
    for step, processed in enumerate(scores):
        history = output.sequences[:, : begin + step]
        gained = processor(history, torch.zeros_like(processed))
        plain.append(processed - gained / settings.temperature)
    return tuple(plain)


def _hypothesis(
    ids: list[int],
    parts: list[float],
    settings: DecodeSettings,
    ends: Collection[int],
    nouns: NounTable | None,
    prefix: tuple[int, ...],
    earned: NDArray[np.float32],
) -> Hypothesis:
    """Cut the padding after the end token, and undo penalties of repeated nouns and the bonus.

    `earned` is what concepts added for each token.
    """
    length = next((n + 1 for n, token in enumerate(ids) if token in ends), len(ids))
    kept, values = np.array(ids[:length]), np.array(parts[:length])
    if nouns is not None and not settings.sample:
        values = values + NOUN_PENALTY * nouns.repeated(np.array([*prefix, *kept]))[-length:]
    if not settings.sample:
        values = values - earned[:length]
    bonus = float(earned[:length].sum())
    return hypothesis(kept, values, settings.length_penalty, nouns, prefix, bonus, tuple(ends))


def finished_or_again(
    found: Sequence[list[Hypothesis]],
    settings: DecodeSettings,
    again: Callable[[int, DecodeSettings], list[Hypothesis]],
) -> list[list[Hypothesis]]:
    """Return each image's best hypotheses, without those that words left no way to go on.

    Args:
        found: What a search found, perhaps with more beams than `settings` have.
        settings: What was asked for.
        again: Searches the image of a row again, with less to ask of its caption.
    """
    if settings.sample:
        return list(found)
    kept = [
        [each for each in image if each.log_probability > -math.inf][: settings.beams]
        for image in found
    ]
    if all(kept) or not settings.asks_for_words:
        return kept
    # Other settings bar what the words need: the included ones are given up first.
    avoided = None if settings.include_words is None else settings.avoid_words
    less = replace(settings, include_words=None, avoid_words=avoided)
    return [image or again(row, less) for row, image in enumerate(kept)]


@contextlib.contextmanager
def seeded(settings: DecodeSettings, device: str) -> Iterator[None]:
    """Sample from the seed without touching the caller's random state."""
    if not settings.sample or settings.seed is None:
        yield
        return
    devices = [device] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(settings.seed)
        yield
