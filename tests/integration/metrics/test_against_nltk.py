"""METEOR against NLTK's, with Debian's WordNet and with our table."""

from __future__ import annotations

import gzip
import random
from importlib import resources
from types import SimpleNamespace
from typing import Any

import pytest

from capgen._build import make_wordnet
from capgen.metrics.meteor import MeteorScorer
from capgen.metrics.synonyms import wordnet
from tests.integration.metrics import oracles

needs_wordnet = pytest.mark.skipif(
    not oracles.HAVE_WORDNET, reason="needs WordNet 3.0 (Debian's wordnet-base)"
)


def one_word_names(reader: Any, word: str) -> set[str]:
    names = {lemma.name() for synset in reader.synsets(word) for lemma in synset.lemmas()}
    # Captions are in lower case, so that a name with a capital is never met.
    return {name for name in names if "_" not in name and name == name.lower()} | {word}


@pytest.fixture(scope="module")
def vocabulary(nltk_wordnet: Any) -> list[str]:
    """Words in the index or the exceptions of WordNet, and regular forms of them."""
    chance = random.Random(3)
    lemmas = sorted(nltk_wordnet.all_lemma_names())
    irregular = sorted({form for forms in nltk_wordnet._exception_map.values() for form in forms})
    endings = ["s", "es", "ed", "ing", "er", "est", "ies", "men", "ness"]
    words = [word + chance.choice(["", *endings]) for word in chance.sample(lemmas, 12_000)]
    return [*words, *irregular, "", "x" * 50, "İ", "dog|cat", "=n", "!go"]


@needs_wordnet
def test_synonyms(nltk_wordnet: Any, vocabulary: list[str]) -> None:
    table = wordnet()
    unlike = [word for word in vocabulary if table.of(word) != one_word_names(nltk_wordnet, word)]
    assert unlike == []


@needs_wordnet
def test_meteor_on_5000_pairs(nltk_wordnet: Any, vocabulary: list[str]) -> None:
    compare_with_nltk(nltk_wordnet, vocabulary, 5000)


class OurWordNet:
    """The interface that NLTK's METEOR needs of WordNet, over our table: one synset per word."""

    def synsets(self, word: str) -> list[Any]:
        lemmas = [SimpleNamespace(name=lambda name=name: name) for name in wordnet().of(word)]
        return [SimpleNamespace(lemmas=lambda: lemmas)]


def test_meteor_over_our_table() -> None:
    """Needs no WordNet: stages, alignment and penalty, with the synonyms taken for granted."""
    words = "child kid infant boat ship shore beach car auto puppies dogs happily glad lawn grass"
    compare_with_nltk(OurWordNet(), words.split() * 500, 1000)


def compare_with_nltk(reader: Any, vocabulary: list[str], pairs: int) -> None:
    """Compare scores of drawn captions and of references that share words, stems, synonyms."""
    from nltk.translate.meteor_score import single_meteor_score

    chance = random.Random(5)
    table, scorer = wordnet(), MeteorScorer()
    common = ["a", "the", "man", "dog", "on", "red", "runs", "play", "street", "people", "two"]
    for _ in range(pairs):
        reference = chance.choices(vocabulary + common * 600, k=chance.randint(0, 18))
        words = [
            chance.choice([word, word, word + "s", *list(table.of(word))[:3]])
            for word in reference
            if chance.random() < 0.8
        ]
        words += chance.choices(common, k=chance.randint(0, 4))
        if chance.random() < 0.3:
            chance.shuffle(words)
        # NLTK lower-cases what it is given.
        words, reference = [w.lower() for w in words], [w.lower() for w in reference]
        expected = single_meteor_score(reference, words, wordnet=reader)
        assert scorer.score(words, reference) == expected, (words, reference)


@needs_wordnet
def test_the_table_is_that_of_its_script() -> None:
    shipped = resources.files("capgen.metrics") / "wordnet" / "synonyms.txt.gz"
    lines = gzip.decompress(shipped.read_bytes()).decode().splitlines()
    made = []
    for letter, suffix in make_wordnet.PARTS.items():
        made += [f"={letter}", *make_wordnet.synsets(oracles.WORDNET, suffix)]
        made += make_wordnet.exceptions(oracles.WORDNET, suffix)
    assert lines == made
    licence = (resources.files("capgen.metrics") / "wordnet" / "LICENSE").read_text()
    assert licence == make_wordnet.licence(oracles.WORDNET)
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in licence
