"""How much an archive of unknown origin may take."""

from __future__ import annotations

from dataclasses import dataclass

from capgen.config.fields import setting


@dataclass(frozen=True, kw_only=True)
class UnpackLimits:
    """How much an archive may grow."""

    ratio: float = setting(100.0, "Most bytes that one byte of an archive may become.")
    always_allowed: int = setting(100_000_000, "Bytes that are allowed whatever the ratio.")
    members: int = setting(1_000_000, "Most members of an archive.")
    # Names and attributes of files take a few kilobytes.
    header: int = setting(1 << 20, "Most bytes of the headers of one member.")

    def growth(self, size: int) -> int:
        """Return the bytes that an archive of `size` bytes may become."""
        return max(self.always_allowed, int(size * self.ratio))
