"""The chance of few wrong captions in a sample, beside all samples that can be drawn."""

from __future__ import annotations

import math

import pytest

from capgen.reviews.hypergeometric import chance_of_fewer


def test_the_chance_is_exact() -> None:
    for captions, wrong, sampled in ((30, 7, 12), (50, 45, 20), (9, 0, 4), (9, 9, 9)):
        every = math.comb(captions, sampled)
        for found in range(sampled + 1):
            fewer = range(min(found, wrong, sampled) + 1)
            ways = sum(
                math.comb(wrong, n) * math.comb(captions - wrong, sampled - n) for n in fewer
            )
            assert chance_of_fewer(found, captions, wrong, sampled) == pytest.approx(ways / every)
