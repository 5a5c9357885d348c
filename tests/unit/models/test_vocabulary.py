"""Word-level tokenizers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from capgen.models.vocabulary import SPECIAL_TOKENS, build_word_tokenizer, wrap_word_tokenizer

CAPTIONS = ["A dog runs .", "a DOG, a man!", "The man's t-shirt & a dog's ball", "é É"]


def test_words_in_order_of_count_after_the_special_tokens() -> None:
    tokenizer = build_word_tokenizer(CAPTIONS, min_count=2)
    vocabulary = tokenizer.get_vocab()
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)
    assert ordered == [*SPECIAL_TOKENS, "a", "dog", "é"]
    assert build_word_tokenizer(iter(CAPTIONS), min_count=2).get_vocab() == vocabulary


def test_the_order_of_the_captions_does_not_matter() -> None:
    vocabularies = [
        build_word_tokenizer(order, min_count=1).get_vocab()
        for order in itertools.permutations(CAPTIONS)
    ]
    assert all(other == vocabularies[0] for other in vocabularies)


def test_words_keep_apostrophes_and_hyphens_and_lose_other_punctuation() -> None:
    tokenizer = build_word_tokenizer(CAPTIONS, min_count=1)
    assert tokenizer.encode("The man's T-SHIRT, & dog!").tokens == [
        "the",
        "man's",
        "t-shirt",
        "dog",
    ]


def test_rare_and_new_words_are_unknown() -> None:
    tokenizer = build_word_tokenizer(CAPTIONS, min_count=2)
    assert tokenizer.encode("a purple dog").ids == [4, 3, 5]


@pytest.mark.parametrize("captions", [[], ["", "  .,"]])
def test_without_words_there_are_the_special_tokens(captions: list[str]) -> None:
    assert build_word_tokenizer(captions).get_vocab_size() == len(SPECIAL_TOKENS)


def test_special_tokens_in_captions_are_no_special_tokens_of_ours() -> None:
    tokenizer = build_word_tokenizer(["<s> </s> <pad>"] * 9)
    assert tokenizer.get_vocab_size() == 4 + len(set(tokenizer.get_vocab()) - set(SPECIAL_TOKENS))


def test_a_wrapped_tokenizer_saves_and_loads(tmp_path: Path) -> None:
    wrapped = wrap_word_tokenizer(build_word_tokenizer(CAPTIONS, min_count=1))
    wrapped.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    ids = loaded("a dog runs")["input_ids"]
    assert ids == wrapped("a dog runs")["input_ids"]
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (0, 1, 2)
    assert loaded.decode([1, *ids, 2], skip_special_tokens=True) == "a dog runs"
