"""The part of the caption that each token stands for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from capgen.captioning.decoding.token_texts import token_texts

ALPHABET = sorted(ByteLevel.alphabet())


def byte_tokenizer() -> Tokenizer:
    """A tokenizer whose tokens are single bytes: every other character takes several."""
    tokenizer = Tokenizer(BPE({token: number for number, token in enumerate(ALPHABET)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


BYTES = byte_tokenizer()


def decode(ids: Sequence[int]) -> str:
    return BYTES.decode(list(ids))


@given(st.text(max_size=12))
def test_the_parts_make_up_the_text(text: str) -> None:
    ids = BYTES.encode(text).ids
    whole, parts = token_texts(decode, ids)
    assert whole == text.strip()
    assert len(parts) == len(ids)
    if "\ufffd" not in text:
        assert "".join(parts) == text


def test_a_character_stands_with_the_token_that_completes_it() -> None:
    ids = BYTES.encode("aé🐕b").ids
    assert token_texts(decode, ids)[1] == ["a", "", "é", "", "", "", "🐕", "b"]


def test_a_character_that_is_cut_off_stands_with_the_last_token() -> None:
    ids = BYTES.encode("a🐕").ids[:-1]
    assert token_texts(decode, ids) == ("a\ufffd", ["a", "", "", "\ufffd"])


def test_a_decoder_that_rewrites_what_came_before_loses_nothing_after_it() -> None:
    texts = ["", "it", "it '", "it's", "it's dog", "it's dogs"]
    whole, parts = token_texts(lambda ids: texts[len(ids)], range(5))
    assert whole == "it's dogs"
    assert parts == ["it", " '", "'s", " dog", "s"]


@pytest.mark.parametrize("ids", [[], [7]])
def test_no_tokens_and_special_tokens_have_no_text(ids: list[int]) -> None:
    assert token_texts(lambda _: "", ids) == ("", [""] * len(ids))


@given(st.text(min_size=1, max_size=12).map(str.strip).filter(bool), st.text(max_size=12))
def test_a_prefix_is_part_of_the_text_and_of_no_token(words: str, text: str) -> None:
    ids = BYTES.encode(text).ids
    whole, parts = token_texts(decode, ids, BYTES.encode(words).ids, words)
    assert whole == (words + text).strip()
    assert len(parts) == len(ids)
    if "\ufffd" not in words + text:
        assert "".join(parts) == text


def test_the_text_begins_as_the_user_wrote_it() -> None:
    """The tokenizer knows lower case only, and lacks a word."""
    texts = {2: "a photo of", 3: "a photo of two", 4: "a photo of two dogs"}
    whole, parts = token_texts(lambda ids: texts[len(ids)], [7, 8], [5, 6], "A photo of Qwxyz")
    assert whole == "A photo of Qwxyz two dogs"
    assert parts == [" two", " dogs"]
    assert token_texts(lambda ids: texts[len(ids)], [], [5, 6], "A photo")[0] == "A photo"


def test_a_decoder_that_rewrites_the_prefix_has_its_way() -> None:
    texts = {1: "it '", 2: "it's"}
    assert token_texts(lambda ids: texts[len(ids)], [7], [5], "It '") == ("it's", ["'s"])
