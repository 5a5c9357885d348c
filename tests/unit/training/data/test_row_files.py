"""Shares of the rows of an array."""

from __future__ import annotations

import pytest

from capgen.training.data.row_files import share_of

MISSING = [(0, 8), (12, 16), (20, 30)]  # 2, 1 and 3 batches of 4, the last one shorter


@pytest.mark.parametrize("count", range(1, 9))
def test_shares_are_equal_whole_batches_that_are_all_there_is(count):
    shares = [share_of(MISSING, 4, place, count) for place in range(count)]
    rows = [row for share in shares for first, stop in share for row in range(first, stop)]
    assert rows == [row for first, stop in MISSING for row in range(first, stop)]
    sizes = [sum(-(-(stop - first) // 4) for first, stop in share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert all(first % 4 == 0 for share in shares for first, _ in share)


def test_a_share_may_span_ranges():
    assert share_of(MISSING, 4, 0, 2) == [(0, 8), (12, 16)]
    assert share_of(MISSING, 4, 1, 4) == [(4, 8), (12, 16)]
    assert share_of([], 4, 0, 2) == []
