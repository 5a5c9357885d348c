"""Find and replace over many captions."""

from __future__ import annotations

from typing import Any

import pytest

from capgen.errors import UsageError
from capgen.review_page.replacing import Replacement, preview


def replaced(text: str, find: str, replace: str, **switches: Any) -> str:
    asked = Replacement(find=find, replace=replace, **switches)
    changes = preview(asked, [(7, text)])
    if not changes:
        return text
    assert (changes[0]["id"], changes[0]["before"]) == (7, text)
    return changes[0]["after"]


def test_texts_are_found_as_they_are() -> None:
    assert replaced("a guy (left) = a man.", "(left) =", r"\1 is") == r"a guy \1 is a man."
    assert replaced("x.y", ".", "-") == "x-y"
    assert replaced("a\\=b", "\\=", "-") == "a-b"
    assert replaced("a\\b", "\\", "=") == "a=b"


def test_whole_words_only() -> None:
    assert replaced("a cat on a catamaran", "cat", "dog") == "a dog on a dogamaran"
    assert replaced("a cat on a catamaran", "cat", "dog", whole_word=True) == "a dog on a catamaran"


def test_case_counts_unless_switched_off() -> None:
    assert replaced("Cat and cat", "cat", "dog") == "Cat and dog"
    assert replaced("Cat and cat", "cat", "dog", ignore_case=True) == "dog and dog"


def test_regular_expressions_have_groups() -> None:
    assert replaced("a man, a dog", r"a (\w+)", r"the \1", regex=True) == "the man, the dog"
    assert replaced("a=b", r"(\w)=(\w)", r"\2=\1", regex=True) == "b=a"
    assert replaced("a=b", r"(\w)\=(\w)", r"\2=\1", regex=True) == "b=a"


def test_only_what_changes_is_returned_and_spaces_are_tidied() -> None:
    captions = [(0, "a big dog"), (1, "a cat"), (2, None)]
    changes = preview(Replacement(find="big", replace=""), captions)
    assert changes == [{"id": 0, "before": "a big dog", "after": "a dog"}]


@pytest.mark.parametrize("find", ["(", "a{100000}{100000}"])
def test_a_wrong_expression_is_refused(find: str) -> None:
    with pytest.raises(UsageError, match="regular expression"):
        preview(Replacement(find=find, replace="", regex=True), [(0, "a")])


def test_an_endless_expression_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def too_slow(text: str, asked: str, notes: list[str]) -> str:
        tried.append(text)
        notes.append("it took too long")
        return text

    monkeypatch.setattr("capgen.review_page.replacing.replaced", too_slow)
    with pytest.raises(UsageError, match="too long"):
        preview(Replacement(find="a", replace="b", regex=True), [(0, "a")] * 3)
    assert tried == ["a"]  # not once for each of thousands


@pytest.mark.parametrize("content", [{}, {"find": "", "replace": "a"}, {"find": "a", "replace": 1}])
def test_what_is_no_replacement_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Replacement.from_dict(content)


def test_a_caption_that_becomes_too_long_is_told() -> None:
    with pytest.raises(UsageError, match="makes a caption too long"):
        preview(Replacement(find="a", replace="b" * 100_000), [(0, "a a")])
