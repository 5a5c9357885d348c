"""The limit of the cache, as its documentation has it."""

from __future__ import annotations

import pytest

from capgen.config.caches import CacheOptions
from capgen.errors import UsageError


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("20GB", 20_000_000_000),
        ("20 gb", 20_000_000_000),
        ("1.5GiB", 1_610_612_736),
        ("2T", 2_000_000_000_000),
        ("500MB", 500_000_000),
        ("10kB", 10_000),
        ("20000000000", 20_000_000_000),
        ("0", 0),
        ("", 40_000_000_000),
        (" ", 40_000_000_000),
    ],
)
def test_sizes_have_a_unit_or_are_bytes(text: str, limit: int) -> None:
    assert CacheOptions.from_environment({"CAPGEN_CACHE_LIMIT": text}).cache_limit == limit
    assert CacheOptions.from_environment({}).cache_limit == 40_000_000_000


@pytest.mark.parametrize("text", ["40", "0.5", "999999"])
def test_a_number_that_meant_gigabytes_is_asked_about(text: str) -> None:
    with pytest.raises(UsageError, match="bytes") as caught:
        CacheOptions.from_environment({"CAPGEN_CACHE_LIMIT": text})
    assert f"write {text}GB" in caught.value.hint


@pytest.mark.parametrize("text", ["much", "-1", "-1GB", "GB", "1e9", "20XB", "nan", "none", "1GBB"])
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(UsageError, match=f"CAPGEN_CACHE_LIMIT is '{text}'.*as in 20GB"):
        CacheOptions.from_environment({"CAPGEN_CACHE_LIMIT": text})
