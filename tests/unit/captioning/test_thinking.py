"""What a model thinks aloud is no part of its caption."""

from __future__ import annotations

import pytest

from capgen.captioning.thinking import answer_begins


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a dog", "a dog"),
        ("<think>A dog? A cat.</think>\n\na cat", "a cat"),
        ("A dog? A cat.</think>a cat", "a cat"),  # the template wrote the opening
        ("<think>one</think><think>two</think> a cat", "a cat"),
        ("◁think▷hm◁/think▷a cat", "a cat"),
        ("[THINK]hm[/THINK]a cat", "a cat"),
        ("<think>cut off while thinking", ""),
        ("", ""),
        ("I think of <b>cats</b>", "I think of <b>cats</b>"),
        ("a sign that says <think>", "a sign that says <think>"),
    ],
)
def test_only_the_answer_is_kept(text: str, answer: str) -> None:
    assert text[answer_begins(text) :].strip() == answer


def test_where_the_answer_begins() -> None:
    assert answer_begins("a dog") == 0
    assert answer_begins("hm</think>a dog") == len("hm</think>")
    assert answer_begins("<think>hm") == len("<think>hm")
