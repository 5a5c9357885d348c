"""What is said of a value that is not one of the choices."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from capgen.config import check_ranges, setting
from capgen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Chosen:
    one: str = setting("short", "Which.", choices=("short",))
    two: str = setting("a", "Which.", choices=("a", "b"))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (Chosen(one="shrot"), "--one is 'shrot'; it must be short"),
        (Chosen(two="c"), "--two is 'c'; it must be one of a, b"),
    ],
)
def test_a_value_that_is_no_choice_is_refused(chosen: Chosen, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_ranges(chosen)
    assert refused.value.message == message
