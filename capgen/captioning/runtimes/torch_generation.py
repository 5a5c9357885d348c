"""What torch runtimes share: how transformers' `generate` is called, and what it returned."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessorList

from capgen.captioning.decoding.hypotheses import NOUN_PENALTY, Hypothesis, NounTable, hypothesis
from capgen.captioning.runtimes.torch_processors import NounsOnce, Temperature
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
    )
    return config


def score_processors(settings: DecodeSettings, nouns: NounTable | None) -> LogitsProcessorList:
    """Return what changes the scores of each step beside transformers' own processors.

    `nouns` are those that a caption has once; None allows repeating them.
    """
    processors = LogitsProcessorList()
    if settings.temperature != 1.0 and not settings.sample:
        processors.append(Temperature(settings.temperature))
    if nouns is not None:
        processors.append(NounsOnce(nouns, normalise=is_greedy(settings)))
    return processors


def hypotheses_of(
    model: Any,
    output: Any,
    settings: DecodeSettings,
    ends: Collection[int],
    nouns: NounTable | None = None,
) -> list[list[Hypothesis]]:
    """Return each image's hypotheses, best first, from what `generate` returned.

    Args:
        model: The model.
        output: What its `generate` returned.
        settings: Decoding settings.
        ends: Tokens that finish a caption.
        nouns: The nouns that `score_processors` was given.
    """
    beam_indices = getattr(output, "beam_indices", None)
    scores = model.compute_transition_scores(
        output.sequences,
        output.scores,
        beam_indices,
        normalize_logits=beam_indices is None and not (is_greedy(settings) and nouns is not None),
    )
    if nouns is not None:
        nouns = nouns.of_width(output.scores[0].shape[-1])
    generated = output.sequences[:, output.sequences.shape[1] - scores.shape[1] :]
    count = settings.num_captions if settings.sample else settings.beams
    flat = [
        _hypothesis(ids, parts, settings, ends, nouns)
        for ids, parts in zip(generated.tolist(), scores.float().tolist(), strict=True)
    ]
    grouped = [flat[start : start + count] for start in range(0, len(flat), count)]
    if not settings.sample:
        return grouped  # beams come best first
    return [sorted(image, key=lambda item: -item.rank) for image in grouped]


def _hypothesis(
    ids: list[int],
    parts: list[float],
    settings: DecodeSettings,
    ends: Collection[int],
    nouns: NounTable | None,
) -> Hypothesis:
    """Cut the padding after the end token, and undo the penalties of repeated nouns."""
    length = next((n + 1 for n, token in enumerate(ids) if token in ends), len(ids))
    kept, values = np.array(ids[:length]), np.array(parts[:length])
    if nouns is not None and not settings.sample:
        values = values + NOUN_PENALTY * nouns.repeated(kept)
    return hypothesis(kept, values, settings.length_penalty, nouns)


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
