"""Empty and repeating captions: found, retried, and reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.retry_captions import caption_inputs, fault
from capgen.captioning.runtimes.base import Generated, ModelInput
from capgen.captioning.runtimes.pixel_runtime import stacked
from capgen.config import DecodeSettings
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.records import Retry
from tests.pixel_fakes import ScriptedPixels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        (" . - ", "empty"),
        ("a dog dog runs", "repeating"),
        ("a Dog dog runs", "repeating"),
        ("a man in the snow in the snow", "repeating"),
        ("man with beard and man with beard and hat", "repeating"),
        ("a blue thing on a blue chair with a blue hat and a blue bag", "repeating"),
        ("a dog", ""),
        ("a man in a red shirt and a man in a blue shirt", ""),
        ("a dog is playing with a dog", ""),
        ("number 5 5", ""),
        ("un chien à côté d'un chien", ""),
    ],
)
def test_faults(text: str, expected: str) -> None:
    assert fault(text) == expected


class Scripted(ScriptedPixels):
    """A runtime whose captions are looked up: by the image, and by how often it was asked."""

    name, device, dtype = "scripted", "cpu", "float32"
    preprocessor = Preprocessor(size=(1, 1))

    def __init__(self, *images: Sequence[Sequence[str]]) -> None:
        self.images = images
        self.times: Counter[int] = Counter()
        self.asked: list[tuple[list[int], DecodeSettings]] = []
        self.known: list[str] = []

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        rows = stacked(inputs)[:, 0, 0, 0].astype(int).tolist()
        self.asked.append((rows, settings))
        found = []
        for row in rows:
            tries = self.images[row]
            said = tries[min(self.times[row], len(tries) - 1)]
            self.times[row] += 1
            found.append([self._hypothesis(text, -n) for n, text in enumerate(said)])
        return Generated(found, lambda: np.zeros((len(rows), 1), np.float32))

    def _hypothesis(self, text: str, score: float) -> Hypothesis:
        self.known.append(text)
        return Hypothesis((len(self.known) - 1,), (float(score),), float(score))

    def decode(self, ids: Sequence[int]) -> str:
        return self.known[ids[0]]


def run(runtime: Any, **settings: Any) -> tuple[list[list[str]], list[Retry | None]]:
    pixels = np.arange(len(runtime.images), dtype=np.float32)[:, None, None, None]
    inputs = [ModelInput(one) for one in np.broadcast_to(pixels, (len(pixels), 3, 1, 1))]
    found, _ = caption_inputs(runtime, inputs, DecodeSettings(**settings))
    return (
        [[each.text for each in (best, *best.alternatives)] for best in found],
        [best.retry for best in found],
    )


def test_what_is_in_order_is_not_tried_again() -> None:
    runtime = Scripted([["a dog"]], [["a cat"]])
    assert run(runtime) == ([["a dog"], ["a cat"]], [None, None])
    assert len(runtime.asked) == 1


def test_fewer_captions_than_asked_for_are_no_fault() -> None:
    runtime = Scripted([["a dog", "two dogs"]], [["a cat", "", "a cat"]])
    texts, retries = run(runtime, beams=3, num_captions=3)
    assert texts[0] == ["a dog", "two dogs"] and retries[0] is None
    assert retries[1] is not None
    assert [rows for rows, _ in runtime.asked] == [[0, 1], [1], [1]]


def test_only_what_is_faulty_is_tried_again() -> None:
    runtime = Scripted([["a dog"]], [[""], ["a cat"]], [["a cow"]])
    texts, retries = run(runtime, min_length=3)
    assert texts == [["a dog"], ["a cat"], ["a cow"]]
    assert [rows for rows, _ in runtime.asked] == [[0, 1, 2], [1]]
    assert retries[0] is None and retries[2] is None
    changes = {"min_length": 6}
    assert retries[1] == Retry(reason="empty", rejected=("",), settings=changes, resolved=True)


def test_each_fault_is_tried_again_in_its_own_way() -> None:
    runtime = Scripted([[""], ["a cat"]], [["a a dog"], ["a dog"]], [["no no"], [""], ["a hen"]])
    texts, retries = run(runtime, seed=4)
    assert texts == [["a cat"], ["a dog"], ["a hen"]]
    hard = {"no_repeat_ngram_size": 2, "repetition_penalty": 1.2}
    assert [retry.settings for retry in retries if retry is not None] == [
        {"min_length": 6},
        {"no_repeat_ngram_size": 2},
        hard,
    ]
    assert [rows for rows, _ in runtime.asked] == [[0, 1, 2], [0], [1, 2], [2]]


def test_a_caption_that_repeats_itself_is_not_made_longer_or_of_new_words_at_once() -> None:
    """A kitchen with a kitchen with a kitchen is not one with a bathroom."""
    runtime = Scripted([["a b a b"], ["a b"]])
    run(runtime, repetition_penalty=1.1)
    (_, first), (_, again) = runtime.asked
    assert again.repetition_penalty == first.repetition_penalty
    assert again.min_length == first.min_length == 0
    assert again.no_repeat_ngram_size == 2


def test_a_harder_push_follows_a_mild_one() -> None:
    runtime = Scripted([["a a dog"], ["dog dog"], ["a dog"]])
    texts, (retry,) = run(runtime, sample=True, seed=4)
    assert texts == [["a dog"]]
    assert retry is not None and retry.resolved
    assert retry.settings["repetition_penalty"] == 1.2
    assert [settings.seed for _, settings in runtime.asked] == [4, 4, 5]


def test_what_cannot_be_helped_stays_and_says_so() -> None:
    runtime = Scripted([["go go"], ["", "no no"]])
    texts, (retry,) = run(runtime)
    assert texts == [["go go"]]
    assert retry is not None and not retry.resolved
    assert (retry.reason, retry.rejected) == ("repeating", ("go go",))


def test_a_faulty_alternative_gives_way_to_another_caption() -> None:
    runtime = Scripted([["a dog", "dog dog", "a cat"], ["a dog", "a cow", "a hen"]])
    texts, (retry,) = run(runtime, beams=3, num_captions=3)
    assert texts == [["a dog", "a cat", "a cow"]]
    assert retry is not None and retry.rejected == ("dog dog",)


def test_it_can_be_turned_off() -> None:
    runtime = Scripted([[""]])
    assert run(runtime, retry=False) == ([[""]], [None])
    assert len(runtime.asked) == 1


def test_different_captions_are_chosen_from_a_wider_search() -> None:
    said = ["a dog runs", "the dog runs", "a dog is running", "two dogs", "a red ball", "a cat"]
    runtime = Scripted([said])
    texts, _ = run(runtime, beams=6, num_captions=3, diverse=True)
    assert texts[0][0] == "a dog runs" and len(texts[0]) == 3
    assert "the dog runs" not in texts[0] and "a dog is running" not in texts[0]
    # Of three captions alone only one would differ: the search was looked at whole.
    assert [settings.beams for _, settings in runtime.asked] == [6]


@pytest.mark.parametrize(
    ("text", "generated", "expected"),
    [
        ("a photo of", "", "empty"),
        ("a photo of .", " .", "empty"),
        ("a photo of a dog", " a dog", ""),
        ("a dog dog runs", " dog runs", "repeating"),
        ("the the dog", " dog", ""),  # the user's own words
        ("the the dog dog", " dog dog", "repeating"),
    ],
)
def test_faults_of_what_was_generated(text: str, generated: str, expected: str) -> None:
    assert fault(text, generated) == expected


class Prompted(Scripted):
    """Its captions continue what they begin with, by as many tokens as words."""

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        found = super().generate(inputs, settings)
        hypotheses = [
            [replace(one, prefix=(-1,) * len(each.start.split())) for one in image]
            for each, image in zip(inputs, found.hypotheses, strict=True)
        ]
        return Generated(hypotheses, found.summarise)

    def decode(self, ids: Sequence[int]) -> str:
        given = sum(one < 0 for one in ids)
        said = "".join(" " + self.known[one] for one in ids if one >= 0 and self.known[one])
        return " ".join(["w"] * given) + said


def test_nothing_behind_the_words_given_is_tried_again_beyond_them() -> None:
    """An empty caption's retry asks for as many tokens as without a prompt, behind it."""
    runtime = Prompted([[""], ["dogs"]], [[""], ["cats"]], [["fine"]])
    starts = ("a photo of", "", "a photo of")
    pixels = np.arange(3, dtype=np.float32)[:, None, None, None]
    inputs = [
        ModelInput(one, start=start)
        for one, start in zip(np.broadcast_to(pixels, (3, 3, 1, 1)), starts, strict=True)
    ]
    found, _ = caption_inputs(runtime, inputs, DecodeSettings())
    assert [one.text for one in found] == ["a photo of dogs", "cats", "a photo of fine"]
    retries = [None if one.retry is None else one.retry for one in found]
    assert [None if one is None else dict(one.settings) for one in retries] == [
        {"min_length": 9},
        {"min_length": 6},
        None,
    ]
    assert retries[0] is not None and retries[0].rejected == ("a photo of",)


class Words(ScriptedPixels):
    """A runtime whose tokens are words."""

    name, device, dtype = "words", "cpu", "float32"
    preprocessor = Preprocessor(size=(1, 1))

    def __init__(self, text: str, *, gives_concepts: bool) -> None:
        self.words = text.split()
        self._gives_concepts = gives_concepts

    @property
    def gives_concepts(self) -> bool:
        return self._gives_concepts

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        ids = tuple(range(len(self.words)))
        found = Hypothesis(ids, (-0.5,) * len(ids), -0.5)
        return Generated([[found]], lambda: np.zeros((1, 1), np.float32))

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.words[token] for token in ids)


@pytest.mark.parametrize(
    ("concepts", "bonus", "expected"),
    [
        (True, 1.0, "an elephant and a dog"),
        (True, 0.0, "a elephant and an dog"),
        (False, 1.0, "a elephant and an dog"),
    ],
)
def test_articles_fit_only_where_nouns_are_favoured(
    concepts: bool, bonus: float, expected: str
) -> None:
    runtime = Words("a elephant and an dog", gives_concepts=concepts)
    pixels = ModelInput(np.zeros((3, 1, 1), np.float32))
    (caption,), _ = caption_inputs(runtime, [pixels], DecodeSettings(concept_bonus=bonus))
    assert caption.text == expected
    assert "".join(token.text for token in caption.tokens).strip() == expected
