"""What a caller asks of decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.edits import EditOptions
from capgen.config.fields import check_ranges, flag_name, setting
from capgen.config.lengths import LENGTH_HINTS, LengthOptions
from capgen.config.words import WordOptions
from capgen.errors import UsageError

BEAMS_LIMIT = 64


@dataclass(frozen=True, kw_only=True)
class DecodeOptions(LengthOptions, WordOptions, EditOptions):
    """What a caller asks of decoding; None means the model's own default.

    Raises:
        UsageError: A value is out of its range, or two of them cannot be used together.
    """

    PANEL: ClassVar[str] = "Decoding"

    beams: int | None = setting(
        None, "Number of beams; 1 decodes greedily.", low=1, high=BEAMS_LIMIT, flags="-b"
    )
    temperature: float | None = setting(
        None,
        "Divide the logits by this and sample; with --beams above 1, search the scaled scores "
        "instead.",
        low=0.1,
        high=2.0,
        flags="-t",
    )
    top_k: int | None = setting(
        None, "Sample from the K most likely tokens only.", low=1, high=100000
    )
    top_p: float | None = setting(
        None,
        "Sample from the smallest set of tokens with this total probability.",
        low=0.01,
        high=1.0,
    )
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
    num_captions: int | None = setting(
        None, "Captions per image, best first.", low=1, high=64, flags="-n"
    )
    seed: int | None = setting(
        None, "Random seed of sampling, the same for every image.", low=0, high=2**32 - 1
    )
    diverse: int | None = setting(
        None, "Captions per image that say different things, best first.", low=2, high=20
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
        for name in ("num_captions", "beams", "temperature", "top_k", "top_p"):
            if self.diverse is not None and getattr(self, name) is not None:
                raise UsageError(
                    f"--diverse {self.diverse} and {flag_name(name)} cannot be used together",
                    hint="--diverse runs a wide beam search of its own.",
                )
        for name in ("top_k", "top_p"):
            if (self.beams or 1) > 1 and getattr(self, name) is not None:
                raise UsageError(
                    f"{flag_name(name)} samples and --beams {self.beams} searches: choose one",
                    hint=f"Leave out --beams to sample, or {flag_name(name)} to search.",
                )
        beams, wanted = self.beams, self.num_captions
        if beams is not None and wanted is not None and not self.samples and wanted > beams:
            raise UsageError(
                f"--num-captions {wanted} is more than --beams {beams} can give",
                hint=f"Use --beams {wanted} or more, or sample with --temperature.",
            )
        if (
            self.max_length is not None
            and self.min_length is not None
            and self.min_length > self.max_length
        ):
            raise UsageError(
                f"--min-length {self.min_length} is more than --max-length {self.max_length}"
            )

    @property
    def samples(self) -> bool:
        """Whether these options ask for sampling rather than search."""
        asked = self.temperature is not None or self.top_k is not None or self.top_p is not None
        return asked and self.beams in (None, 1)
