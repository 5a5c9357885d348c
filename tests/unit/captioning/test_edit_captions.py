"""Openings, replacements, prefix and suffix of captions."""

from __future__ import annotations

import json
import time

import pytest

from capgen import Captioner
from capgen.captioning.edit_captions import edit_captions, trim_openings
from capgen.config import DecodeOptions, DecodeSettings
from capgen.config.edits import replacement_of
from capgen.errors import UsageError
from capgen.records import Caption


def caption(text: str, *others: str) -> Caption:
    alternatives = tuple(caption(other) for other in others)
    return Caption(text=text, log_probability=-1.0, score=-0.5, alternatives=alternatives)


def edited(text: str, **settings: object) -> str:
    return edit_captions(caption(text), DecodeSettings(**settings)).text


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [
        ("This image shows a dog.", "A dog."),
        ("this image shows a dog", "a dog"),
        ("A photo of two cats", "Two cats"),
        ("a picture of a man", "a man"),
        ("Photo of the Eiffel Tower", "The Eiffel Tower"),
        ("In this image, we can see a red bus.", "A red bus."),
        ("In the picture there are three boats", "Three boats"),
        ("In this photo a man rides a horse", "A man rides a horse"),
        ("The image features a kitchen", "A kitchen"),
        ("This is an image of a bird", "A bird"),
        ("It's a picture showing a bowl", "A bowl"),
        ("This image shows a photo of a beach", "A beach"),
        ("The image is a color photograph showing a dog", "A color photograph showing a dog"),
        ("This is a close-up of a dog", "A close-up of a dog"),
        ("It’s an image of a dog", "A dog"),
        # What chat models put before their answers.
        ("### Description\n\nThe image shows a dog.", "A dog."),
        ("Sure! Here's a detailed description of the image:\n\nA dog.", "A dog."),
        ("Here is a caption: a dog", "A dog"),
        ("**Image Description:** This photo captures a dog.", "A dog."),
        ("**Subject**: a dog", "A dog"),
        ("Tags: dog, grass", "Dog, grass"),
        ("tags: dog, grass", "dog, grass"),
        ('"The image features a dog."', "A dog."),
        ('"The image features a dog.', "A dog."),
        ("“A dog.”", "A dog."),
        # Nothing to leave out, or nothing would be left.
        ('"Stop" and "go" on two signs', '"Stop" and "go" on two signs'),
        ('A sign that says "stop"', 'A sign that says "stop"'),
        ("The image is blurry", "The image is blurry"),
        ("Tags: ", "Tags: "),
        ("Dogs, tags and collars: a shop", "Dogs, tags and collars: a shop"),
        ("A shirt with a caption: go away", "A shirt with a caption: go away"),
        ("# Heading", "# Heading"),
        ("A dog", "A dog"),
        ("a painting of a dog", "a painting of a dog"),
        ("A photographer takes a picture of a dog", "A photographer takes a picture of a dog"),
        ("A photo of ", "A photo of "),
        ("A photo of", "A photo of"),
        ("an image", "an image"),
        ("a black and white photo of a dog", "a black and white photo of a dog"),
        ("", ""),
    ],
)
def test_openings(text: str, trimmed: str) -> None:
    assert trim_openings(text) == trimmed


def test_the_order_of_changes() -> None:
    settings = DecodeSettings(
        trim_openings=True,
        replace=("(?i)a guy=A man", r"\bman\b=person", "^A =The "),
        prefix="photo: ",
        suffix=".",
    )
    found = edit_captions(caption("A photo of a guy"), settings)
    assert found.text == "photo: The person."
    assert found.raw == "A photo of a guy"


@pytest.mark.parametrize(
    ("asked", "text", "result"),
    [
        (r"(\w+) and (\w+)=\2 and \1", "cats and dogs", "dogs and cats"),
        (r"a\=b=c", "a=b", "c"),
        ("a=b=c", "a", "b=c"),
        ("(?i)DOG=cat", "Dog", "cat"),
        (r"\s+$=", "x  ", "x"),
    ],
)
def test_replacements_are_regular_expressions(asked: str, text: str, result: str) -> None:
    assert edited(text, replace=(asked,)) == result


def test_alternatives_too_and_only_what_changes_keeps_its_raw_text() -> None:
    settings = DecodeSettings(replace=("dog=cat",))
    found = edit_captions(caption("a dog", "a bird", "two dogs"), settings)
    assert [found.text, *(o.text for o in found.alternatives)] == ["a cat", "a bird", "two cats"]
    assert [found.raw, *(o.raw for o in found.alternatives)] == ["a dog", None, "two dogs"]
    record = found.to_dict()
    assert record["raw_caption"] == "a dog"
    assert record["alternatives"][0]["raw_caption"] == "a bird"  # all have it, as Arrow needs
    assert Caption.from_dict(json.loads(json.dumps(record))) == found


def test_by_default_captions_are_what_they_were() -> None:
    given = caption("This image shows a dog  ", "A photo of a cat")
    assert edit_captions(given, DecodeSettings()) is given


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*a){30}b"])
def test_a_pattern_that_would_take_years_is_left_out(pattern: str) -> None:
    started = time.monotonic()
    given = caption("a" * 200 + "!")
    settings = DecodeSettings(replace=(f"{pattern}=b", "!=?"))
    found = edit_captions(given, settings)
    assert time.monotonic() - started < 20
    if found.notes:
        assert found.text == "a" * 200 + "?"
        assert pattern in found.notes[0]
        assert "too long" in found.notes[0]


def test_captions_do_not_grow_without_end() -> None:
    many = tuple("a=aaaaaaaaaa" for _ in range(30))
    found = edit_captions(caption("a"), DecodeSettings(replace=many))
    assert len(found.text) <= 100_000
    assert any("too long" in note for note in found.notes)


@pytest.mark.parametrize(
    "wrong", ["a", "=b", "", "(=b", r"a=\1", r"(a)=\2", r"a=\g<x>", "a=\\", "[=b"]
)
def test_what_is_no_replacement_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="--replace"):
        DecodeOptions(replace=(wrong,))


@pytest.mark.parametrize(
    "pattern",
    [
        "(" * 5000 + "a" + ")" * 5000,
        "(" * 900 + "a" + ")" * 900,
        "a" * 10_001,
        "a{999999}",
        "(?:(?:a{1000}){1000}){1000,}",
    ],
)
def test_patterns_that_fill_the_memory_are_refused(pattern: str) -> None:
    """Or the stack; before they are compiled."""
    with pytest.raises(UsageError, match="--replace"):
        DecodeOptions(replace=(f"{pattern}=x",))


def test_ordinary_counts_are_fine() -> None:
    DecodeOptions(replace=(r"^.{0,400}a.{0,400}b.{3,400}$=x", r"(\w+)( \1){2,}=\1"))


@pytest.mark.parametrize("wrong", [{"replace": "a=b"}, {"replace": (1,)}, {"prefix": 3}])
def test_other_types_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"^--{next(iter(wrong))} is"):
        DecodeOptions(**wrong)


def test_an_equals_sign_to_match_is_escaped() -> None:
    assert replacement_of(r"a\=b\d=c") == (r"a=b\d", "c")


def test_edits_go_everywhere_captions_do(bundled: Captioner, images: list[object]) -> None:
    plain = bundled.caption(images[0], num_captions=2)
    found = bundled.caption(images[0], num_captions=2, prefix="sks, ", replace=["^a =the "])
    assert found.text == "sks, " + plain.text.replace("a ", "the ", 1)
    assert found.raw == plain.text
    assert found.alternatives[0].raw == plain.alternatives[0].text
    assert found.tokens == plain.tokens
    assert found.score == plain.score
    assert found.settings["replace"] == ["^a =the "]
