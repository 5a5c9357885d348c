"""Settings of decoding: what the caller asks for, and what a model makes of it."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from capgen.config.edits import EditOptions, edits_of
from capgen.config.fields import check_ranges, is_number, setting
from capgen.config.lengths import LENGTH_HINTS, LengthOptions, lengths_of
from capgen.config.search import BEAMS_LIMIT, SearchOptions
from capgen.config.words import WordOptions, without_spare_spaces
from capgen.errors import ModelError, UsageError

logger = logging.getLogger(__name__)

# Beams per caption of --diverse: measured in docs/benchmarks.md.
DIVERSE_BEAMS = 6


# Python puts the fields of the last class first, and help those that are used most.
@dataclass(frozen=True, kw_only=True)
class DecodeOptions(EditOptions, WordOptions, LengthOptions, SearchOptions):
    """What a caller asks of decoding; None means the model's own default.

    Raises:
        UsageError: A value is out of its range, or two of them cannot be used together.
    """

    PANEL: ClassVar[str] = "Decoding"

    max_length: int | None = setting(
        None,
        "Maximum caption length in tokens, including start and end; of models that follow "
        "prompts, the most new tokens.",
        low=2,
        high=4096,
    )
    min_length: int | None = setting(
        None, "Minimum caption length in tokens, counted likewise.", low=0, high=4096
    )
    length_penalty: float | None = setting(
        None,
        "Divide each beam's log-probability by its length to this power; above 0 favours longer.",
        low=-5.0,
        high=5.0,
    )
    repetition_penalty: float | None = setting(
        None, "Make tokens that were already used less likely; 1 is off.", low=0.1, high=10.0
    )
    no_repeat_ngram_size: int | None = setting(
        None, "Never repeat a sequence of N tokens; 0 is off.", low=0, high=100
    )
    repeat_nouns: bool = setting(
        False,
        "Allow a caption to repeat a noun (English).",
        flags="--repeat-nouns/--no-repeat-nouns",
    )
    concept_bonus: float = setting(
        1.0,
        "How much to favour words for what the model's concept head sees (models that have one); "
        "0 is off.",
        low=0.0,
        high=10.0,
    )
    retry: bool = setting(True, "Try again when a caption is empty or repeats itself.")
    confidence: bool = setting(False, "Estimate how likely each caption is to be good.")
    min_confidence: float | None = setting(
        None, "Give no caption where the confidence is lower than this.", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        check_ranges(self, too_low=LENGTH_HINTS)
        WordOptions.__post_init__(self)
        EditOptions.__post_init__(self)
        SearchOptions.__post_init__(self)
        if (
            self.max_length is not None
            and self.min_length is not None
            and self.min_length > self.max_length
        ):
            raise UsageError(
                f"--min-length {self.min_length} is more than --max-length {self.max_length}"
            )


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """Complete decoding settings; names and meanings as in `DecodeOptions`.

    Attributes:
        sample: Draw tokens at random instead of taking the likeliest.
        early_stopping: Stop a beam search at `num_beams` finished captions (as in transformers,
            including `"never"`).
        repeat_nouns: Whether a noun may be repeated. Older records and fits lack this field;
            they were made with True.
        diverse: Choose `num_captions` captions that differ from a wider search.
        concept_bonus: Multiplies what the concept head adds; 0.0 where it has no part in the
            search, as in models without one. Fields from here on are left out of records where
            they have their default, so that records and journals without them stay what they
            are.
        avoid_words: As `included_words` and `avoided_words` read it; None for no words.
    """

    beams: int = 1
    sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    max_length: int = 32
    min_length: int = 0
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    repeat_nouns: bool = True
    num_captions: int = 1
    seed: int | None = None
    early_stopping: bool | str = False
    diverse: bool = False
    retry: bool = True
    confidence: bool = False
    min_confidence: float | None = None
    concept_bonus: float = 0.0
    avoid_words: str | None = None
    include_words: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    replace: tuple[str, ...] = ()
    trim_openings: bool = False
    max_words: int | None = None
    max_characters: int | None = None

    @property
    def asks_for_lengths(self) -> bool:
        """Whether captions are limited in words or characters."""
        return self.max_words is not None or self.max_characters is not None

    @property
    def asks_for_words(self) -> bool:
        """Whether there are words to avoid or to include."""
        return self.avoid_words is not None or self.include_words is not None

    @property
    def asks_for_edits(self) -> bool:
        """Whether the text of captions is changed after decoding."""
        return any((self.trim_openings, self.replace, self.prefix, self.suffix))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as built-in types, for records."""
        known = dataclasses.asdict(self)
        known["replace"] = list(self.replace)
        return {name: value for name, value in known.items() if name not in _NEWER or value}


# Settings that records have only where they are not the default, which is empty.
_NEWER = (
    *("concept_bonus", "avoid_words", "include_words"),
    *("prefix", "suffix", "replace", "trim_openings"),
    *("max_words", "max_characters"),
)

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

    def pick(name: str, key: str, default: Any) -> Any:
        asked = getattr(options, name)
        if asked is not None:
            return asked
        given = generation.get(key)
        return default if given is None else _of_model(key, given)

    if answer_tokens is not None:
        talk = ("do_sample", "temperature", "top_k", "top_p", "max_length", "min_length")
        said = {key: value for key, value in generation.items() if value is not None}
        generation = {key: value for key, value in said.items() if key not in talk}
        generation = {"max_new_tokens": answer_tokens, **generation}
        positions = None
    default_samples = bool(generation.get("do_sample")) and options.beams is None
    sample = options.samples or default_samples
    num_captions = int(options.diverse or options.num_captions or 1)
    if options.diverse is not None:
        sample = False
    beams = 1 if sample else int(pick("beams", "num_beams", 1))
    if options.diverse is not None:
        beams = min(BEAMS_LIMIT, DIVERSE_BEAMS * num_captions)
    elif not sample and options.beams is None:
        beams = max(beams, num_captions)
    notes = []
    max_length = int(pick("max_length", "max_length", 32))
    if options.max_length is None and generation.get("max_new_tokens"):
        max_length = int(_of_model("max_new_tokens", generation["max_new_tokens"]))
        max_length += answer_tokens is None  # its start token
    if positions is not None and max_length > positions:
        if options.max_length is not None:
            notes.append(f"max_length {max_length} clamped to the model's {positions} positions")
        max_length = positions
    min_length = int(pick("min_length", "min_length", 0))
    if min_length > max_length:
        if options.min_length is not None:
            raise UsageError(
                f"--min-length {min_length} is more than the {max_length} tokens allowed"
            )
        min_length = max_length
    if not knows_concepts and options.concept_bonus not in (0.0, DecodeOptions.concept_bonus):
        notes.append("concept_bonus has no effect: the model has no concept head")
    settings = DecodeSettings(
        beams=beams,
        sample=sample,
        temperature=float(pick("temperature", "temperature", 1.0))
        if sample or options.temperature is not None
        else 1.0,
        top_k=int(pick("top_k", "top_k", 0)) if sample else 0,
        top_p=float(pick("top_p", "top_p", 1.0)) if sample else 1.0,
        max_length=max_length,
        min_length=min_length,
        length_penalty=float(pick("length_penalty", "length_penalty", 1.0)),
        repetition_penalty=float(pick("repetition_penalty", "repetition_penalty", 1.0)),
        no_repeat_ngram_size=int(pick("no_repeat_ngram_size", "no_repeat_ngram_size", 0)),
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
    asked = [name for name, value in vars(options).items() if value not in (None, False, ())]
    logger.debug(
        "decoding with %s; asked for: %s; in generation_config.json: %s; the rest by default",
        *(vars(settings), asked, sorted(generation)),
    )
    return settings, tuple(notes)
