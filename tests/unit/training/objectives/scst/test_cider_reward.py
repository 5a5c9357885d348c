"""The reward on the device is the scorer's CIDEr-D, for any tokenizer."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from capgen.metrics.cider import DocumentFrequencies, cider_d
from capgen.metrics.corpus import Corpus
from capgen.models.vocabulary import build_word_tokenizer, wrap_word_tokenizer
from capgen.training.objectives.scst.cider_reward import CiderReward
from capgen.training.objectives.scst.token_words import TokenReader, Words
from tests.tiny_captioners import byte_tokenizer

CPU = torch.device("cpu")
# Words that the metrics' tokenizer splits, joins, drops or reads by their neighbours.
_ODD = "dog's don't cannot gonna t-shirt --- ' '' can't 1 2 3 555 1234 2-3 o'clock u.s. n't"
_COMMON = "a the dog cat runs sits on in of with two red ball grass water man woman and"
ODD, COMMON = _ODD.split(), _COMMON.split()
SAMPLES = 5


def sentence(chance: random.Random, most: int = 14) -> str:
    words = [chance.choice(COMMON if chance.random() < 0.8 else ODD) for _ in range(most)]
    return " ".join(words[: chance.randint(1, most)])


def images(count: int, seed: int = 0) -> list[list[str]]:
    chance = random.Random(seed)
    return [[sentence(chance) for _ in range(chance.randint(1, 6))] for _ in range(count)]


def by_the_scorer(references, texts, scored_against=None):
    """Return the scores, (images, samples), of texts by image."""
    frequencies = DocumentFrequencies.from_references(references)
    pairs = [(number, text) for number, row in enumerate(texts) for text in row]
    corpus = Corpus(
        {str(place): text for place, (_, text) in enumerate(pairs)},
        {
            str(place): (scored_against or references)[number]
            for place, (number, _) in enumerate(pairs)
        },
    )
    return cider_d(corpus, frequencies).reshape(len(texts), -1)


def by_the_reward(tokenizer, references, ids, ended=None):
    words = Words()
    reward = CiderReward(words.numbered(references, end=ended is not None), CPU)
    found = TokenReader(tokenizer, words, CPU).read(ids, ended)
    return reward(torch.arange(len(ids)), found).numpy()


def random_ids(tokenizer, references, size, length=16, seed=0):
    """Return ids (images, SAMPLES, length): pieces of references, and tokens at random."""
    chance = np.random.default_rng(seed)
    end = tokenizer.eos_token_id
    ids = np.full((len(references), SAMPLES, length), end)
    for row, captions in zip(ids, references, strict=True):
        for sample in row:
            known = tokenizer(captions[0], add_special_tokens=False)["input_ids"]
            drawn = known if chance.random() < 0.5 else chance.integers(0, size, length)
            drawn = [int(t) if chance.random() < 0.9 else int(chance.integers(size)) for t in drawn]
            drawn = drawn[: chance.integers(0, length + 1)]
            sample[: len(drawn)] = drawn
    return torch.from_numpy(ids)


def decode(tokenizer, ids):
    return [tokenizer.batch_decode(row.tolist(), skip_special_tokens=True) for row in ids]


@pytest.fixture(scope="module")
def word_tokenizer():
    texts = [text for captions in images(200) for text in captions]
    return wrap_word_tokenizer(build_word_tokenizer(texts, min_count=1))


def test_ten_thousand_captions_score_as_by_the_scorer(word_tokenizer):
    references = images(2000)
    ids = random_ids(word_tokenizer, references, len(word_tokenizer))
    expected = by_the_scorer(references, decode(word_tokenizer, ids))
    found = by_the_reward(word_tokenizer, references, ids)
    assert found.size == 10_000
    assert expected.max() > 5
    assert np.abs(found - expected).max() < 1e-9


def test_tokens_go_both_ways(word_tokenizer):
    """Whole words are looked up, those that depend on their neighbours are read as text."""
    reader = TokenReader(word_tokenizer, Words(), CPU)
    token = word_tokenizer.convert_tokens_to_ids
    assert not reader.spelled[token("dog")]
    assert reader.spelled[token("555")]
    several = reader.table[token("dog's")]
    assert (several >= 0).sum() == 2
    assert (reader.table[token("---")] >= 0).sum() <= 1


def test_subwords_are_read_as_text():
    tokenizer = byte_tokenizer()
    references = images(40)
    ids = random_ids(tokenizer, references, len(tokenizer), length=60)
    assert TokenReader(tokenizer, Words(), CPU).spelled.all()
    expected = by_the_scorer(references, decode(tokenizer, ids))
    assert expected.max() > 1
    assert np.abs(by_the_reward(tokenizer, references, ids) - expected).max() < 1e-9


def test_the_end_is_a_word_where_there_is_one(word_tokenizer):
    references = images(60)
    ids = random_ids(word_tokenizer, references, len(word_tokenizer))
    ended = torch.rand(ids.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.5
    with_ends = [[f"{text} zzend" for text in captions] for captions in references]
    texts = [
        [f"{text} zzend" if end else text for text, end in zip(row, ends, strict=True)]
        for row, ends in zip(decode(word_tokenizer, ids), ended.tolist(), strict=True)
    ]
    expected = by_the_scorer(with_ends, texts)
    found = by_the_reward(word_tokenizer, references, ids, ended)
    assert np.abs(found - expected).max() < 1e-9


def test_captions_shorter_than_any_ngram(word_tokenizer):
    references = [["a"], ["dog"], ["cat", "a"]]
    ids = torch.tensor([[[word_tokenizer.convert_tokens_to_ids("dog")]]] * 3)
    expected = by_the_scorer(references, decode(word_tokenizer, ids))
    found = by_the_reward(word_tokenizer, references, ids)
    assert found[1, 0] > 0
    assert found == pytest.approx(expected)
    nothing = CiderReward([[[]], [[]]], CPU)
    assert nothing(torch.tensor([0]), torch.tensor([[[-1], [5]]])).tolist() == [[0.0, 0.0]]
