"""Whether a caption names a person."""

from __future__ import annotations

import pytest

from capgen.metrics.people import names_a_person


@pytest.mark.parametrize(
    "text",
    ["A man.", "two women", "boys, girls", "the ladies' dog", "babies", "a crowd of people"],
)
def test_people(text: str) -> None:
    assert names_a_person(text)


@pytest.mark.parametrize("text", ["", "a dog", "a mango", "a human-sized kitten", "a snowman"])
def test_others(text: str) -> None:
    assert not names_a_person(text)
