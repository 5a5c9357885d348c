"""METEOR 1.5 against its own program; `tests/bench/meteor_parity.py` asks it much more."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from capgen.metrics.meteor_1_5 import resources
from capgen.metrics.meteor_1_5.normalize import Normalizer
from capgen.metrics.meteor_1_5.paraphrases import are_unpacked, open_paraphrases
from capgen.metrics.meteor_1_5.score import statistics_of
from capgen.metrics.meteor_1_5.statistics import scores, summable
from capgen.metrics.score import score_captions
from tests.integration.metrics import oracles
from tests.integration.metrics.meteor_program import MeteorProgram, counts_of, fuzzed_pairs
from tests.unit.metrics.captions import EXPECTED, PREDICTIONS, REFERENCES

pytestmark = pytest.mark.skipif(not oracles.HAVE_OFFICIAL, reason="needs pycocoevalcap")
needs_java = pytest.mark.skipif(not oracles.HAVE_JAVA, reason="needs a Java runtime")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CAPGEN_HOME whose cache holds the table of paraphrases."""
    folder = tmp_path_factory.mktemp("paraphrases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPGEN_HOME", str(folder))
        assert not are_unpacked()
        open_paraphrases()
        assert are_unpacked()
    return folder


@pytest.fixture
def paraphrases(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests share the table: unpacking it takes 20 seconds."""
    monkeypatch.setenv("CAPGEN_HOME", str(unpacked))


def assert_equal(pairs: list[tuple[str, list[str]]]) -> None:
    with MeteorProgram() as program:
        lines = [program.statistics(*pair) for pair in pairs]
        theirs, whole = program.scores(lines)
    counts = statistics_of([caption for caption, _ in pairs], [group for _, group in pairs])
    unlike = np.flatnonzero((counts != counts_of(lines)).any(axis=1))
    assert [pairs[place] for place in unlike] == []
    np.testing.assert_allclose(scores(counts), theirs, atol=1e-9)
    assert float(scores(summable(counts).sum(axis=0))) == pytest.approx(whole, abs=1e-9)


@pytest.mark.usefixtures("paraphrases")
def test_own_sentences() -> None:
    report = score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=["meteor_1_5"])
    expected = EXPECTED["meteor_1_5"]
    assert report.corpus == {resources.NAME: pytest.approx(expected["corpus"], abs=1e-6)}
    values = report.per_image[resources.NAME].tolist()
    assert values == pytest.approx(expected["images"], abs=1e-6)


@needs_java
@pytest.mark.usefixtures("paraphrases")
def test_fuzzed_strings() -> None:
    assert_equal(fuzzed_pairs(400, 7))


@needs_java
@pytest.mark.realdata
@pytest.mark.usefixtures("paraphrases")
def test_flickr8k(flickr8k_test: dict[str, list[str]]) -> None:
    chance = random.Random(3)
    groups = list(flickr8k_test.values())
    pairs = [(group[0], group[1:]) for group in groups[:150]]
    pairs += [(chance.choice(groups)[0], group) for group in groups[150:300]]
    assert_equal(pairs)


@needs_java
@pytest.mark.usefixtures("paraphrases")
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
