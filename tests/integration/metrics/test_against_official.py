"""Scores and tokens against pycocoevalcap, whose tokenizer needs Java."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from capgen.metrics.ptb.tokenizer import PTBTokenizer, tokenize
from capgen.metrics.score import score_captions
from tests.integration.metrics import fuzz, oracles
from tests.unit.metrics.captions import PREDICTIONS, REFERENCES

pytestmark = pytest.mark.skipif(not oracles.HAVE_OFFICIAL, reason="needs pycocoevalcap")
needs_java = pytest.mark.skipif(not oracles.HAVE_JAVA, reason="needs a Java runtime")

METRICS = ("bleu", "rouge_l", "cider_d")


def assert_equal(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    theirs: Mapping[str, Any],
) -> None:
    report = score_captions(predictions, references, metrics=METRICS)
    assert report.corpus.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert report.corpus[name] == pytest.approx(expected["corpus"], abs=1e-6), name
        np.testing.assert_allclose(report.per_image[name], expected["images"], atol=1e-6)


@needs_java
@pytest.mark.parametrize("seed", [1, 2])
def test_tokens_of_fuzzed_strings(seed: int) -> None:
    captions = fuzz.strings(10_000, seed)
    expected = oracles.official_tokens(captions)
    tokenizer = PTBTokenizer()
    unlike = [
        caption
        for caption, tokens in zip(captions, expected, strict=True)
        if tokenizer.tokenize(caption) != tokens
    ]
    assert len(unlike) <= 10
    # Java decides by word boundaries whether a capital sigma is final, Python by letters.
    assert [caption for caption in unlike if "Σ" not in caption] == []


@needs_java
@pytest.mark.realdata
def test_tokens_of_flickr8k(flickr8k: dict[str, list[str]]) -> None:
    captions = [caption for group in flickr8k.values() for caption in group]
    expected = oracles.coco_tokens({str(n): [caption] for n, caption in enumerate(captions)})
    assert len(captions) == 40_455
    assert [tokenize(caption) for caption in captions] == [line for (line,) in expected.values()]


@needs_java
def test_a_caption_stands_alone() -> None:
    # The official program looks past the end of the line.
    captions = {"a": ["this is plan b."], "b": ["The dog has a number, no."], "c": ["5 dogs"]}
    together = oracles.coco_tokens(captions)
    assert together["a"] == ["this is plan b"]
    assert together["b"] == ["the dog has a number no."]
    assert tokenize(captions["a"][0]) == "this is plan b."
    assert tokenize(captions["b"][0]) == "the dog has a number no"


def prediction_sets(
    references: Mapping[str, Sequence[str]],
) -> dict[str, tuple[dict[str, str], dict[str, list[str]]]]:
    """Return name → predictions and references, made without a model."""
    chance = random.Random(8)
    images = list(references)
    every = {image: list(captions) for image, captions in references.items()}
    first = {image: captions[0] for image, captions in every.items()}
    marks = [*fuzz.MARKS, *fuzz.UNUSUAL[:40]]

    def changed(change: Any) -> dict[str, str]:
        return {image: change(caption) for image, caption in first.items()}

    def shuffled(caption: str) -> str:
        words = caption.split()
        return " ".join(chance.sample(words, len(words)))

    rotated = dict(zip(images, [*list(first.values())[1:], first[images[0]]], strict=True))
    everything = {
        "rotated": rotated,
        "shuffled": changed(shuffled),
        "empty": changed(lambda caption: chance.choice(["", " ", caption, "..."])),
        "one word": changed(lambda caption: chance.choice(caption.split())),
        "very long": changed(lambda caption: " ".join([caption] * chance.randint(4, 8))),
        "unicode": changed(
            lambda caption: caption.replace("a", chance.choice(fuzz.UNUSUAL)) + " 😀 ½ é"
        ),
        "punctuation": changed(
            lambda caption: (
                "".join(word + chance.choice(marks) + " " for word in caption.split()) + "end"
            )
        ),
        "from other images": {
            image: chance.choice(every[chance.choice(images)]) for image in every
        },
        "constant": changed(lambda caption: "A man is standing on a beach ."),
    }
    sets = {name: (predictions, every) for name, predictions in everything.items()}
    others = {image: captions[1:] for image, captions in every.items()}
    return sets | {"one of the references": (first, others)}


@needs_java
@pytest.mark.slow
@pytest.mark.realdata
def test_scores_on_flickr8k(flickr8k_test: dict[str, list[str]]) -> None:
    assert len(flickr8k_test) == 1000
    sets = prediction_sets(flickr8k_test)
    assert len(sets) == 10
    tokens = oracles.coco_tokens(flickr8k_test)
    for name, (predictions, references) in sets.items():
        theirs = oracles.coco_tokens({image: [line] for image, line in predictions.items()})
        kept = {image: tokens[image][-len(captions) :] for image, captions in references.items()}
        assert_equal(predictions, references, oracles.scores_of_tokens(theirs, kept))
        assert len(predictions) == 1000, name


@needs_java
def test_scores_of_own_sentences() -> None:
    for predictions in PREDICTIONS.values():
        expected = oracles.official_scores(predictions, REFERENCES)
        assert_equal(predictions, REFERENCES, expected)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_scores_of_the_same_tokens(name: str) -> None:
    """Our tokens in the official scorers: what remains to be compared without Java."""
    predictions = PREDICTIONS[name]
    theirs = {image: [tokenize(line) for line in REFERENCES[image]] for image in predictions}
    ours = {image: [tokenize(line)] for image, line in predictions.items()}
    assert_equal(predictions, REFERENCES, oracles.scores_of_tokens(ours, theirs))


def test_references_without_words() -> None:
    # Without a word in any reference the official CIDEr stops with an error; ours is 0.
    references = {"a": ["."], "b": ["", "!"]}
    predictions = {"a": "a dog", "b": ""}
    tokens = {image: [tokenize(line) for line in lines] for image, lines in references.items()}
    theirs = {image: [tokenize(line)] for image, line in predictions.items()}
    with pytest.raises(ValueError, match="empty"):
        oracles.scores_of_tokens(theirs, tokens)
    report = score_captions(predictions, references, metrics=METRICS)
    assert report.per_image["CIDEr-D"].tolist() == [0, 0]
    assert report.per_image["ROUGE-L"].tolist() == [0, 1]
