"""The settings that methods take as keywords, for editors and type checkers.

A test compares them with the settings classes, which own their defaults, ranges and help.
"""

from __future__ import annotations

from typing import TypedDict


class DecodeKeywords(TypedDict, total=False):
    """The fields of `DecodeOptions`."""

    trim_openings: bool
    replace: tuple[str, ...]
    prefix: str | None
    suffix: str | None
    avoid_words: str | None
    include_words: str | None
    max_words: int | None
    max_characters: int | None
    style: str | None
    beams: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    max_length: int | None
    min_length: int | None
    length_penalty: float | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    repeat_nouns: bool
    concept_bonus: float
    num_captions: int | None
    seed: int | None
    diverse: int | None
    retry: bool
    confidence: bool
    min_confidence: float | None


class ModelKeywords(TypedDict, total=False):
    """The fields of `ModelOptions`, without the model."""

    endpoint: str | None
    concurrency: int
    timeout: float
    retries: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    send_size: int
    yes: bool
    prompt: str | None
    system: str | None
    start_with: str | None
    revision: str | None
    trust_remote_code: bool
    runtime: str
    device: str
    dtype: str
    device_map: str | None
    quantize: str | None
