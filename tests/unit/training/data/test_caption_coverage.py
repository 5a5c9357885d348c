"""What training captions lose is told before training."""

from __future__ import annotations

import dataclasses

import tokenizers
from transformers import PreTrainedTokenizerFast

from capgen.records import Example
from capgen.training.data.caption_coverage import coverage_notices
from capgen.training.data.packed_captions import CaptionCodec
from tests.tiny_models import tiny_mini

WORDS = "a dog runs over the grass"


def messages(captions, **limits):
    codec = CaptionCodec.of(tiny_mini([WORDS]), limits.get("max_tokens", 64))
    example = Example(image_id="1", image="1.jpg", references=tuple(captions), split="train")
    return [notice.message for notice in coverage_notices(codec, [example])]


def test_nothing_is_told_where_nothing_is_lost():
    assert messages([WORDS]) == []


def test_captions_longer_than_max_tokens_are_counted():
    # Start and six words are seven tokens, whose last predicts the end.
    assert messages([WORDS], max_tokens=7) == []
    assert messages([WORDS, "a dog"], max_tokens=6) == [
        "1 of 2 training captions are longer than 6 tokens and are cut; "
        "--max-tokens or the model's positions limit them"
    ]


def test_the_share_of_unknown_words_is_told():
    (message,) = messages([WORDS] * 9 + ["a cat runs over the grass"])
    assert message == "1.7% of the words in the training captions are not in the vocabulary"


def test_many_unknown_words_are_warned_about():
    (message,) = messages([WORDS, "one cat sat"])
    assert message.startswith("33.3% of the words")
    assert "--min-count" in message


def test_the_vocabulary_of_a_pretrained_decoder_is_not_a_matter_of_counts():
    pieces = tokenizers.models.WordPiece({"[UNK]": 0, "一": 1}, unk_token="[UNK]")
    chinese = PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(pieces), unk_token="[UNK]"
    )
    codec = dataclasses.replace(
        CaptionCodec.of(tiny_mini([WORDS]), 64), tokenizer=chinese, unknown=0
    )
    example = Example(image_id="1", image="1.jpg", references=("Hund",), split="train")
    (notice,) = coverage_notices(codec, [example])
    assert notice.message.startswith("100.0% of the words")
    assert "--decoder" in notice.message and "--min-count" not in notice.message
