"""How captions are searched for or sampled, and how many an image gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import flag_name, setting
from capgen.errors import UsageError

BEAMS_LIMIT = 64


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Beam search or sampling; None means the model's own default.

    Raises:
        UsageError: Two values cannot be used together.
    """

    PANEL: ClassVar[str] = "Decoding"

    beams: int | None = setting(
        None, "Number of beams; 1 decodes greedily.", low=1, high=BEAMS_LIMIT, flags="-b"
    )
    num_captions: int | None = setting(
        None, "Captions per image, best first.", low=1, high=64, flags="-n"
    )
    diverse: int | None = setting(
        None, "Captions per image that say different things, best first.", low=2, high=20
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
    seed: int | None = setting(
        None, "Random seed of sampling, the same for every image.", low=0, high=2**32 - 1
    )

    def __post_init__(self) -> None:
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

    @property
    def samples(self) -> bool:
        """Whether these options ask for sampling rather than search."""
        asked = self.temperature is not None or self.top_k is not None or self.top_p is not None
        return asked and self.beams in (None, 1)
