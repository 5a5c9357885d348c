"""METEOR 1.5 against its own program; `tests/bench/meteor_parity.py` asks it much more."""

from __future__ import annotations

import random

import numpy as np
import pytest

from capgen.metrics.meteor_1_5 import resources
from capgen.metrics.meteor_1_5.normalize import Normalizer
from capgen.metrics.meteor_1_5.score import statistics_of
from capgen.metrics.meteor_1_5.statistics import scores, summable
from capgen.metrics.score import score_captions
from tests.integration.metrics import oracles
from tests.integration.metrics.meteor_program import MeteorProgram, counts_of, fuzzed_pairs
from tests.unit.metrics.captions import EXPECTED, PREDICTIONS, REFERENCES

pytestmark = pytest.mark.skipif(not oracles.HAVE_OFFICIAL, reason="needs pycocoevalcap")
needs_java = pytest.mark.skipif(not oracles.HAVE_JAVA, reason="needs a Java runtime")


def assert_equal(pairs: list[tuple[str, list[str]]]) -> None:
    with MeteorProgram() as program:
        lines = [program.statistics(*pair) for pair in pairs]
        theirs, whole = program.scores(lines)
    counts = statistics_of([caption for caption, _ in pairs], [group for _, group in pairs])
    unlike = np.flatnonzero((counts != counts_of(lines)).any(axis=1))
    assert [pairs[place] for place in unlike] == []
    np.testing.assert_allclose(scores(counts), theirs, atol=1e-9)
    assert float(scores(summable(counts).sum(axis=0))) == pytest.approx(whole, abs=1e-9)


def test_own_sentences() -> None:
    report = score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=["meteor_1_5"])
    expected = EXPECTED["meteor_1_5"]
    assert report.corpus == {resources.NAME: pytest.approx(expected["corpus"], abs=1e-6)}
    values = report.per_image[resources.NAME].tolist()
    assert values == pytest.approx(expected["images"], abs=1e-6)


@needs_java
def test_fuzzed_strings() -> None:
    assert_equal(fuzzed_pairs(400, 7))


@needs_java
@pytest.mark.realdata
def test_flickr8k(flickr8k_test: dict[str, list[str]]) -> None:
    chance = random.Random(3)
    groups = list(flickr8k_test.values())
    pairs = [(group[0], group[1:]) for group in groups[:150]]
    pairs += [(chance.choice(groups)[0], group) for group in groups[150:300]]
    assert_equal(pairs)


@needs_java
def test_words_that_the_program_takes_for_one_another() -> None:
    """An exception: it compares Java's hashes of words, which are 32 bits. Here, words differ."""
    captions, references = ["-b", "ko"], [["\u05d5"], ["m1"]]
    with MeteorProgram() as program:
        lines = [program.statistics(*pair) for pair in zip(captions, references, strict=True)]
    assert counts_of(lines)[:, 21:].tolist() == [[1, 1]] * 2
    assert statistics_of(captions, references)[:, 21:].tolist() == [[0, 0]] * 2


def test_the_lists_of_the_program() -> None:
    lists = resources.word_lists()
    assert {"the", ",", "of"} <= lists.function_words
    assert "" not in lists.function_words
    assert {"Mr", "vs", "e.g"} <= lists.prefixes
    assert lists.numeric_prefixes == {"No", "Art", "pp"}
    assert lists.bases["geese"] == ["goose"]
    assert len(lists.synsets["dog"].split()) == 8
    assert Normalizer(lists).tokens("Mr. X") == ["mr.", "x"]
