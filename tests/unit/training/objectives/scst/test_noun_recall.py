"""Recall of nouns on the device is that of plain Python."""

from __future__ import annotations

import itertools
import random

import pytest
import torch

from capgen.captioning.decoding.noun_lexicon import noun_of
from capgen.metrics.ptb.tokenizer import tokenize
from capgen.training.objectives.scst.noun_recall import PEOPLE, NounRecall
from capgen.training.objectives.scst.token_words import TokenReader, Words, padded
from tests.tiny_models import tiny_mini

CPU = torch.device("cpu")
REFERENCES = (
    ("A man rides a horse.", "Two horses and a man", "a woman on a horse", "a rider, a fence"),
    ("the dog's ball", "dogs with balls and a frisbee"),
    ("it is red", "running there"),
    ("people and more people", "three women", "a group of people near an espresso"),
)


def plainly(references: tuple[str, ...], caption: str) -> float:
    """The sum over the nouns that a caption says of their weights, by that of all."""

    def nouns(text: str) -> set[str]:
        return {noun for word in tokenize(text).split() if (noun := noun_of(word))}

    weights: dict[str, float] = {}
    for noun in set().union(*map(nouns, references)):
        share = sum(noun in nouns(text) for text in references) / len(references)
        weights[noun] = share * (0.3 if noun in PEOPLE else 1.0)
    if not weights:
        return 0.0
    said = nouns(caption)
    return sum(w for noun, w in weights.items() if noun in said) / sum(weights.values())


def rows_of(words: Words, captions: list[str]) -> torch.Tensor:
    rows = [words.numbers(text, end=True) for text in captions]
    return padded(rows, max(map(len, rows)) + 2)


def test_by_hand() -> None:
    words = Words()
    recall = NounRecall(words.numbered(REFERENCES, end=True), words, CPU)
    captions = ["horses", "a man", "horse horse man", "a red"]
    found = recall(torch.tensor([0]), rows_of(words, captions)[None])
    # horse 3/4, man .3 · 2/4, woman .3 / 4, rider 1/4, fence 1/4
    total = 0.75 + 0.15 + 0.075 + 0.25 + 0.25
    assert found.dtype == torch.float64
    assert found[0].tolist() == pytest.approx([0.75 / total, 0.15 / total, 0.9 / total, 0.0])


def test_it_is_that_of_plain_python() -> None:
    words = Words()
    recall = NounRecall(words.numbered(REFERENCES, end=True), words, CPU)
    vocabulary = [
        *(
            "man",
            "horses",
            "Horse",
            "the",
            "riders",
            "woman",
            "women",
            "people",
            "person",
            "fences",
        ),
        *(
            "dog",
            "dogs",
            "dog's",
            "ball",
            "frisbees",
            "espresso",
            "red",
            "is",
            "men",
            "zebras",
            ",",
        ),
    ]
    dice = random.Random(0)
    texts = [
        [" ".join(dice.choices(vocabulary, k=dice.randrange(9))) for _ in range(40)]
        for _ in REFERENCES
    ]
    images = torch.tensor([3, 1, 0, 2])
    flat = rows_of(words, list(itertools.chain.from_iterable(texts)))
    found = recall(images, flat.view(4, 40, -1))
    expected = [
        [plainly(REFERENCES[image], text) for text in own]
        for image, own in zip(images.tolist(), texts, strict=True)
    ]
    assert found.tolist() == [pytest.approx(row, abs=1e-12) for row in expected]
    assert found[:3].std(1).min() > 0.1  # the captions differ
    assert not found[3].any()  # its references name nothing


def test_words_that_come_later_are_known() -> None:
    """A tokenizer of pieces meets words in samples that no reference has, such as a plural."""
    words = Words()
    recall = NounRecall(words.numbered([["a zebra"]], end=True), words, CPU)
    before = rows_of(words, ["a zebra"])[None]
    assert recall(torch.tensor([0]), before).item() == 1
    assert recall(torch.tensor([0]), rows_of(words, ["two zebras"])[None]).item() == 1
    assert recall(torch.tensor([0]), rows_of(words, ["two xylophones"])[None]).item() == 0


def test_tokens_are_read_as_words() -> None:
    captioning = tiny_mini(["a red dog near two dogs and a cat"])
    words = Words()
    reader = TokenReader(captioning.tokenizer, words, CPU)
    recall = NounRecall(words.numbered([["a dog and a cat"]], end=True), words, CPU)
    ids = captioning.tokenizer("two dogs near a dog", return_tensors="pt").input_ids
    assert recall(torch.tensor([0]), reader.read(ids)[None]).item() == 0.5


def test_people_are_nouns_in_their_base_form() -> None:
    assert {noun_of(word) for word in PEOPLE} == PEOPLE


@pytest.mark.parametrize(
    ("word", "noun"),
    [("dogs", "dog"), ("women", "woman"), ("knives", "knife"), ("bus", "bus"), ("grass", "grass")],
)
def test_forms_of_a_noun(word: str, noun: str) -> None:
    assert noun_of(word) == noun


@pytest.mark.parametrize("word", ["red", "running", "the", "'s", ""])
def test_other_words_are_not_nouns(word: str) -> None:
    assert noun_of(word) is None
