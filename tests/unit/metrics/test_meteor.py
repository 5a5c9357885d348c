"""METEOR and its synonyms; `test_scores` compares values with the official programs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from capgen.metrics.meteor import MeteorScorer
from capgen.metrics.synonyms import Synonyms, wordnet

TABLE = Synonyms(
    [
        "=n",
        "auto car|motor_car",
        "goose",
        "box",
        "man",
        "!geese goose",
        "!axes ax axis",
        "=v",
        "ride drive",
        "=a",
        "big huge",
        "=r",
    ]
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("car", {"auto", "car"}),
        ("cars", {"auto", "car", "cars"}),
        ("motor_car", {"auto", "car", "motor_car"}),
        ("geese", {"geese", "goose"}),
        ("boxes", {"box", "boxes"}),
        ("men", {"man", "men"}),
        ("driving", {"drive", "driving", "ride"}),
        ("bigest", {"big", "bigest", "huge"}),
        # An irregular form is not looked up by its ending as well.
        ("axes", {"axes"}),
        ("nothing", {"nothing"}),
        ("", {""}),
    ],
)
def test_look_up(word: str, expected: set[str]) -> None:
    assert TABLE.of(word) == expected
    assert TABLE.of(word) is TABLE.of(word)


def test_words_are_in_wordnet() -> None:
    assert {"cat", "kat", "khat", "puke"} <= wordnet().of("cat")
    assert {"glad", "happy"} <= wordnet().of("happy")
    # Satellite adjectives, adverbs, irregular forms.
    assert {"elated", "gladsome"} & wordnet().of("elated")
    assert {"apace", "chop-chop"} <= wordnet().of("apace")
    assert "be" in wordnet().of("were")


@pytest.fixture(scope="module")
def scorer() -> MeteorScorer:
    return MeteorScorer(synonyms=TABLE)


def test_alignment_goes_by_form_then_stem_then_synonym(scorer: MeteorScorer) -> None:
    words = ["auto", "rides", "cars", "huge"]
    reference = ["big", "cars", "car", "ride"]
    # cars = cars; rides ~ ride; then auto ~ car and huge ~ big mean the same.
    assert scorer.align(words, reference) == [(0, 2), (1, 3), (2, 1), (3, 0)]


def test_alignment_prefers_the_last_of_equal_words(scorer: MeteorScorer) -> None:
    assert scorer.align(["a", "a"], ["a", "b", "a", "a"]) == [(0, 2), (1, 3)]


def test_score_by_hand(scorer: MeteorScorer) -> None:
    # The example in the documentation of nltk.translate.meteor_score.
    words = "it is a guide to action which ensures that the military always obeys the commands of"
    words += " the party"
    reference = "it is a guide to action that ensures that the military will forever heed party"
    reference += " commands"
    assert round(MeteorScorer().score(words.split(), reference.split()), 4) == 0.6944
    # One chunk of both words: penalty 0.5 · (1/2)³.
    assert scorer.score(["a", "car"], ["a", "auto"]) == pytest.approx(1 - 0.5 / 8)


@pytest.mark.parametrize(("words", "reference"), [([], []), ([], ["a"]), (["a"], []), ("b", "c")])
def test_nothing_in_common_is_zero(
    scorer: MeteorScorer, words: list[str], reference: list[str]
) -> None:
    assert scorer.score(words, reference) == 0


def test_importing_the_metrics_imports_no_heavy_library() -> None:
    code = (
        "import sys, capgen.metrics.score, capgen.metrics.bootstrap\n"
        "print([n for n in ('torch', 'transformers', 'onnxruntime', 'nltk', 'rouge_score') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
