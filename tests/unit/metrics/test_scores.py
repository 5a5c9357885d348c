"""BLEU, ROUGE-L, CIDEr-D and METEOR against recorded output of the official programs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.errors import MetricError
from capgen.metrics.bleu import bleu_scores, bleu_statistics
from capgen.metrics.cider import DocumentFrequencies, cider_d
from capgen.metrics.corpus import Corpus
from capgen.metrics.rouge import common_lengths, rouge_l, rouge_l_google
from capgen.metrics.score import score_captions
from tests.unit.metrics.captions import EXPECTED, PREDICTIONS, REFERENCES


@pytest.mark.parametrize("name", PREDICTIONS)
def test_scores_are_the_official_ones(name: str) -> None:
    report = score_captions(PREDICTIONS[name], REFERENCES)
    expected = EXPECTED["scores"][name]
    assert report.corpus.keys() == expected.keys() == report.per_image.keys()
    for metric, theirs in expected.items():
        assert report.corpus[metric] == pytest.approx(theirs["corpus"], abs=1e-9), metric
        np.testing.assert_allclose(report.per_image[metric], theirs["images"], atol=1e-9)


def corpus_of(prediction: str, *references: str) -> Corpus:
    return Corpus({"a": prediction, "b": "x"}, {"a": references, "b": ["x"]})


def test_bleu_by_hand() -> None:
    corpus = corpus_of("the the cat sat", "the cat sat down here", "a cat")
    statistics = bleu_statistics(corpus)
    # "the" counts once; of two references 1 word away the shorter would do, 5 is nearest.
    assert statistics[0].tolist() == [3, 2, 1, 0, 4, 3, 2, 1, 4, 5]
    expected = math.sqrt(3 / 4 * 2 / 3) * math.exp(1 - 5 / 4)
    assert bleu_scores(statistics)[0, 1] == pytest.approx(expected)


def test_bleu_takes_the_shorter_of_two_equally_close_references() -> None:
    assert bleu_statistics(corpus_of("a b c", "a b c d", "a b"))[0, -1] == 2


def test_bleu_of_nothing_is_nothing() -> None:
    corpus = Corpus({"a": "", "b": "..."}, {"a": [""], "b": ["a dog"]})
    assert bleu_scores(bleu_statistics(corpus)).max() < 1e-6
    assert bleu_scores(bleu_statistics(corpus).sum(axis=0)).max() < 1e-6


def test_rouge_takes_precision_and_recall_from_any_reference() -> None:
    # Precision 2/4 against the first, recall 2/2 against the second.
    precision, recall = 2 / 4, 2 / 2
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    scores = rouge_l(corpus_of("a dog barks loudly", "a dog sleeps now here", "a dog"))
    assert scores[0] == pytest.approx(expected)


def test_rouge_score_takes_the_best_reference() -> None:
    scores = rouge_l_google(corpus_of("A dog-barks!", "the dog barks", "a dog"))
    # Of "a dog barks" two words in order, against three and against two words.
    assert scores[0] == pytest.approx(2 * 2 / (3 + 2))
    assert rouge_l_google(corpus_of("!", "?", "a"))[0] == 0


@given(st.text("abc", max_size=9), st.lists(st.text("abcd", max_size=9), max_size=3))
def test_common_lengths(words: str, others: list[str]) -> None:
    def slow(left: str, right: str) -> int:
        if not left or not right:
            return 0
        if left[-1] == right[-1]:
            return slow(left[:-1], right[:-1]) + 1
        return max(slow(left[:-1], right), slow(left, right[:-1]))

    assert common_lengths(words, others) == [slow(words, other) for other in others]


def test_cider_of_the_only_reference_is_ten() -> None:
    predictions = {"a": "two grey dogs run fast", "b": "a man reads the paper"}
    corpus = Corpus(predictions, {name: [caption] for name, caption in predictions.items()})
    assert cider_d(corpus).tolist() == pytest.approx([10, 10])


def test_cider_knows_the_length_penalty() -> None:
    references = {"a": ["red green blue black white"], "b": ["one"]}
    # Every n-gram of 1 word matches, none of more: the words stand in another order.
    corpus = Corpus({"a": "white black blue green red x y", "b": "one"}, references)
    overlap = 5 / math.sqrt(5 * 7)
    # Lengths count word pairs: 6 and 4.
    expected = 10 / 4 * overlap * math.exp(-(2**2) / (2 * 6**2))
    assert cider_d(corpus)[0] == pytest.approx(expected)


def test_cider_with_its_own_references_as_a_table() -> None:
    corpus = Corpus(PREDICTIONS["odd"], REFERENCES)
    table = DocumentFrequencies.from_references(REFERENCES.values())
    assert table.documents == len(REFERENCES)
    np.testing.assert_allclose(cider_d(corpus, table), cider_d(corpus))


def test_cider_with_a_table_scores_a_single_image(tmp_path: Path) -> None:
    table = DocumentFrequencies.from_references(REFERENCES.values(), source="my images")
    table.save(tmp_path / "table.json")
    loaded = DocumentFrequencies.load(tmp_path / "table.json")
    assert loaded == table
    name = "goose"
    single = Corpus({name: PREDICTIONS["plausible"][name]}, {name: REFERENCES[name]})
    whole = cider_d(Corpus(PREDICTIONS["plausible"], REFERENCES))
    assert cider_d(single, loaded)[0] == pytest.approx(whole[list(REFERENCES).index(name)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "table.json:1: not valid JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "is not a table"),
        ('{"format": "capgen document frequencies", "documents": 0, "counts": {}}', "damaged"),
        ('{"format": "capgen document frequencies", "documents": 2, "counts": {"a": 3}}', "3|2"),
    ],
)
def test_damaged_tables(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "table.json"
    file.write_text(text)
    with pytest.raises(MetricError, match=message) as caught:
        DocumentFrequencies.load(file)
    assert str(file) in caught.value.message


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="Cannot read"):
        DocumentFrequencies.load(tmp_path / "none.json")
