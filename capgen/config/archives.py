"""Limits for archives of unknown origin."""

from __future__ import annotations

from dataclasses import dataclass

from capgen.config.fields import setting


@dataclass(frozen=True, kw_only=True)
class UnpackLimits:
    """How much an archive may grow."""

    ratio: float = setting(100.0, "Maximum size, as a multiple of the archive's.")
    always_allowed: int = setting(100_000_000, "Size in bytes that is allowed whatever the ratio.")
    members: int = setting(1_000_000, "Maximum number of members.")
    # Names and attributes of files take a few kilobytes.
    header: int = setting(1 << 20, "Maximum size of one member's headers, in bytes.")

    def growth(self, size: int) -> int:
        """Return the size in bytes that an archive of `size` bytes may unpack to."""
        return max(self.always_allowed, int(size * self.ratio))
