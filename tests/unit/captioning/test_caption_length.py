"""Captions as short as asked, by their text."""

from __future__ import annotations

import pytest

from capgen.captioning.caption_length import whole_sentences, with_length_note, words_in
from capgen.captioning.endpoint.answers import Choice
from capgen.captioning.endpoint.served_captions import served_image
from capgen.config import DecodeSettings
from capgen.records import Caption

TEXT = 'A dog runs. It is "fast." 3.5 m away, a cat (a big one!) sleeps.'


@pytest.mark.parametrize(
    ("text", "words"),
    [("", 0), ("a dog", 2), (" it's  a t-shirt - blue . ", 4), ("一只狗", 1), ("...", 0)],
)
def test_words(text: str, words: int) -> None:
    assert words_in(text) == words


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        ({"max_words": 99}, TEXT),
        ({"max_words": 15}, TEXT),
        ({"max_words": 14}, 'A dog runs. It is "fast."'),
        ({"max_words": 6}, 'A dog runs. It is "fast."'),
        ({"max_words": 5}, "A dog runs."),
        ({"max_words": 2}, TEXT),  # not even the first sentence
        ({"max_characters": 24}, "A dog runs."),
        ({"max_words": 6, "max_characters": 24}, "A dog runs."),
    ],
    ids=str,
)
def test_whole_sentences(limit: dict[str, int], kept: str) -> None:
    settings = DecodeSettings(**limit)
    assert whole_sentences(TEXT, settings) == kept
    served = served_image([Choice(TEXT)], None, (), settings)
    assert served.hypotheses[0].served == kept
    caption = Caption(path=None, text=kept, log_probability=None, score=None)
    assert bool(with_length_note(caption, settings).notes) == (limit == {"max_words": 2})


def test_sentences_of_languages_without_spaces() -> None:
    assert whole_sentences("一只狗。两只猫！", DecodeSettings(max_characters=6)) == "一只狗。"


def test_the_note_names_what_was_asked() -> None:
    caption = Caption(path=None, text="one two three", log_probability=None, score=None)
    noted = with_length_note(caption, DecodeSettings(max_words=2, max_characters=5))
    assert noted.notes == ("longer than max_words 2 and max_characters 5",)
