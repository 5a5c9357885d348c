"""What decoding options come to for a model: its own defaults, lengths, and what it knows."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from capgen.config.decode_settings import DecodeSettings
from capgen.config.decoding import DecodeOptions
from capgen.config.edits import edits_of
from capgen.config.fields import is_number
from capgen.config.lengths import lengths_of
from capgen.config.search import BEAMS_LIMIT
from capgen.config.words import without_spare_spaces
from capgen.errors import ModelError, UsageError

logger = logging.getLogger(__name__)

# Beams per caption of --diverse: measured in docs/benchmarks.md.
DIVERSE_BEAMS = 6
# The least that decoding can work with, by key of generation_config. A model's author may go
# beyond the ranges of the options.
_LEAST = {
    "num_beams": 1,
    "max_length": 2,
    "max_new_tokens": 1,
    "min_length": 0,
    "top_k": 0,
    "no_repeat_ngram_size": 0,
    "temperature": 1e-3,
    "top_p": 1e-3,
    "repetition_penalty": 1e-3,
    "length_penalty": -math.inf,
}


def _of_model(key: str, value: Any) -> Any:
    """Return a value of a generation_config, once it is known to work."""
    if not is_number(value) or value < _LEAST[key]:
        raise ModelError(f"The model's generation_config has {key} {value!r}")
    return value


def resolve_decoding(
    options: DecodeOptions,
    generation: Mapping[str, Any],
    *,
    positions: int | None,
    knows_nouns: bool = True,
    knows_concepts: bool = False,
    answer_tokens: int | None = None,
) -> tuple[DecodeSettings, tuple[str, ...]]:
    """Complete `options` from a model's `generation_config.json`.

    Args:
        options: What the caller asked for.
        generation: The model's generation_config as a mapping.
        positions: The decoder's maximum length, start and end included.
        knows_nouns: Whether it is known which of its tokens are nouns.
        knows_concepts: Whether the model has a concept head.
        answer_tokens: For models that answer prompts: the most tokens of an answer where neither
            the caller nor the model says. Lengths are then those of the answer alone, and such a
            model samples only if the caller asks for it: its own settings are for conversations.

    Returns:
        The settings, and a note for each value that had to change.

    Raises:
        UsageError: The lengths contradict the model's defaults.
        ModelError: The generation_config has values that decoding cannot use.
    """

    if answer_tokens is not None:
        generation, positions = _for_answers(generation, answer_tokens), None
    pick = partial(_pick, options, generation)
    default_samples = bool(generation.get("do_sample")) and options.beams is None
    sample = (options.samples or default_samples) and options.diverse is None
    num_captions = int(options.diverse or options.num_captions or 1)
    beams = 1 if sample else _beams(options, generation, num_captions)
    max_length, notes = _max_length(
        options, generation, positions, start_token=answer_tokens is None
    )
    if not knows_concepts and options.concept_bonus not in (0.0, DecodeOptions.concept_bonus):
        notes += ("concept_bonus has no effect: the model has no concept head",)
    scaled = sample or options.temperature is not None
    settings = DecodeSettings(
        beams=beams,
        sample=sample,
        min_length=_min_length(options, generation, max_length),
        temperature=float(pick("temperature", 1.0)) if scaled else 1.0,
        top_k=int(pick("top_k", 0)) if sample else 0,
        top_p=float(pick("top_p", 1.0)) if sample else 1.0,
        max_length=max_length,
        length_penalty=float(pick("length_penalty", 1.0)),
        repetition_penalty=float(pick("repetition_penalty", 1.0)),
        no_repeat_ngram_size=int(pick("no_repeat_ngram_size", 0)),
        repeat_nouns=options.repeat_nouns or not knows_nouns,
        num_captions=num_captions,
        seed=None if options.seed is None else int(options.seed),
        early_stopping=generation.get("early_stopping") or False,
        diverse=options.diverse is not None,
        retry=options.retry,
        confidence=options.confidence or options.min_confidence is not None,
        min_confidence=options.min_confidence,
        concept_bonus=float(options.concept_bonus) if knows_concepts else 0.0,
        avoid_words=without_spare_spaces(options.avoid_words),
        include_words=without_spare_spaces(options.include_words),
        **edits_of(options),
        **lengths_of(options),
    )
    _log(options, generation, settings)
    return settings, notes


def _for_answers(generation: Mapping[str, Any], answer_tokens: int) -> dict[str, Any]:
    """Return a generation_config without what is for conversations; see `resolve_decoding`."""
    talk = ("do_sample", "temperature", "top_k", "top_p", "max_length", "min_length")
    said = {key: value for key, value in generation.items() if value is not None}
    kept = {key: value for key, value in said.items() if key not in talk}
    return {"max_new_tokens": answer_tokens, **kept}


def _pick(
    options: DecodeOptions, generation: Mapping[str, Any], name: str, default: Any, key: str = ""
) -> Any:
    """Return what the caller asks for, or else the model; its config may have another `key`."""
    asked = getattr(options, name)
    if asked is not None:
        return asked
    given = generation.get(key or name)
    return default if given is None else _of_model(key or name, given)


def _beams(options: DecodeOptions, generation: Mapping[str, Any], num_captions: int) -> int:
    """Return the beams of a search for a number of captions."""
    beams = int(_pick(options, generation, "beams", 1, key="num_beams"))
    if options.diverse is not None:
        return min(BEAMS_LIMIT, DIVERSE_BEAMS * num_captions)
    return beams if options.beams is not None else max(beams, num_captions)


def _max_length(
    options: DecodeOptions,
    generation: Mapping[str, Any],
    positions: int | None,
    *,
    start_token: bool,
) -> tuple[int, tuple[str, ...]]:
    """Return the most tokens that the model has room for, and notes."""
    max_length = int(_pick(options, generation, "max_length", 32))
    if options.max_length is None and generation.get("max_new_tokens"):
        max_length = int(_of_model("max_new_tokens", generation["max_new_tokens"])) + start_token
    if positions is None or max_length <= positions:
        return max_length, ()
    if options.max_length is None:
        return positions, ()
    return positions, (f"max_length {max_length} clamped to the model's {positions} positions",)


def _min_length(options: DecodeOptions, generation: Mapping[str, Any], max_length: int) -> int:
    min_length = int(_pick(options, generation, "min_length", 0))
    if min_length > max_length and options.min_length is not None:
        raise UsageError(f"--min-length {min_length} is more than the {max_length} tokens allowed")
    return min(min_length, max_length)


def _log(options: DecodeOptions, generation: Mapping[str, Any], settings: DecodeSettings) -> None:
    asked = [name for name, value in vars(options).items() if value not in (None, False, ())]
    logger.debug(
        "decoding with %s; asked for: %s; in generation_config.json: %s; the rest by default",
        *(vars(settings), asked, sorted(generation)),
    )
