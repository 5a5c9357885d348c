"""Limits for capgen's caches."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from capgen.config.fields import Bytes, check_ranges, parse_setting, setting
from capgen.errors import UsageError

LIMIT_VARIABLE = "CAPGEN_CACHE_LIMIT"
# A smaller cache is useless. Older versions read the variable as gigabytes.
_LEAST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """How large the cache may grow.

    Raises:
        UsageError: The limit is below 0.
    """

    cache_limit: Bytes = setting(  # noqa: RUF009
        40_000_000_000, "Maximum size of the cache of decoded images, as in 20GB.", low=0
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the defaults, or the limit in CAPGEN_CACHE_LIMIT if that is set.

        Raises:
            UsageError: It is not a size, or a bare number that can only mean gigabytes.
        """
        text = environment.get(LIMIT_VARIABLE, "").strip()
        if not text:
            return cls()
        try:
            limit = parse_setting(cls, "cache_limit", text)
        except UsageError as error:
            raise UsageError(
                f"{LIMIT_VARIABLE} is {text!r}; it must be a size, as in 20GB"
            ) from error
        if limit < _LEAST and text[-1].isdigit() and float(text) != 0:
            raise UsageError(
                f"{LIMIT_VARIABLE} is {text}, which is {limit} bytes",
                hint=f"Older versions read it as gigabytes: write {text}GB.",
            )
        return cls(cache_limit=limit)
