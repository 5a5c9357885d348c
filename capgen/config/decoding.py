"""What a caller asks of decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.edits import EditOptions
from capgen.config.fields import check_ranges, setting
from capgen.config.lengths import LENGTH_HINTS, LengthOptions
from capgen.config.search import SearchOptions
from capgen.config.words import WordOptions
from capgen.errors import UsageError


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
