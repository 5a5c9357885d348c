from __future__ import annotations

import re

import pytest

from capgen.captioning.articles import with_fitting_articles


def fitting(text: str) -> str:
    parts = re.findall(r" *\S+", text)  # as a vocabulary of whole words gives them
    return "".join(with_fitting_articles(parts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a elephant standing in a field", "an elephant standing in a field"),
        ("A orange on a table", "An orange on a table"),
        ("a man and a umbrella", "a man and an umbrella"),
        ("an dog with a hour to go", "a dog with an hour to go"),
        ("an unicorn with an uniform", "a unicorn with a uniform"),
        ("a unidentified thing", "an unidentified thing"),
        ("an one-way street", "a one-way street"),
        ("a uninterested cat", "an uninterested cat"),
    ],
)
def test_articles_fit_the_next_word(text: str, expected: str) -> None:
    assert fitting(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "an elephant and a dog",
        "an x-ray of a hand",
        "an mri of an herb garden",
        "a hotel",
        "an honest man",
        "a european city with a one way street",
        "vitamin a is good",
        "a",
        "",
        "banana and ant",
        "a 8 on a sign",
    ],
)
def test_what_is_right_or_unknown_stays(text: str) -> None:
    assert fitting(text) == text


def test_pieces_of_words() -> None:
    assert with_fitting_articles(["a", " ele", "phant"]) == ["an", " ele", "phant"]
    assert with_fitting_articles(["pizz", "a", " oven"]) == ["pizz", "a", " oven"]
    assert with_fitting_articles(["plate of a", " apple"]) == ["plate of a", " apple"]
    assert with_fitting_articles([]) == []
