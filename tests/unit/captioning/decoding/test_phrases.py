"""Captions that had to be short end with whole phrases, say no word twice, and take no filler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from capgen.captioning.decoding.hypotheses import TokenIds
from capgen.captioning.decoding.phrases import Phrases
from capgen.captioning.decoding.token_bytes import TokenBytes
from capgen.captioning.decoding.within_limits import decode_within
from capgen.captioning.decoding.word_rules import WordRules
from capgen.config import DecodeSettings
from tests.fakes import ScriptedModel

START, END = 0, 1
TEXT = "a man holding tennis racket on top of parked motorcycle 2 is running at yellow"
WORDS = TEXT.split()
IDS = {word: place for place, word in enumerate(WORDS, start=2)}
PIECES = {"<s>": START, "</s>": END, **{f"Ġ{word}": number for word, number in IDS.items()}}
TEXTS = TokenBytes(PIECES, frozenset({START, END}), {})
SIZE = len(PIECES)
PHRASES = Phrases.of(TEXTS.table, SIZE)


def log_probs(**likely: float) -> Any:
    row = np.full(SIZE, 1e-6, np.float32)
    for word, probability in likely.items():
        row[END if word == "END" else IDS[word.removeprefix("_")]] = probability
    return np.log(row / row.sum())


@pytest.mark.parametrize(
    ("likely", "half"),
    [
        ({"of": 0.97}, True),  # on top
        ({"racket": 0.4, "yellow": 0.3, "END": 0.3}, True),  # a man holding a tennis
        ({"a": 0.9}, True),  # a man holding
        ({"holding": 0.5, "_is": 0.4}, False),  # a man
        ({"parked": 0.6, "at": 0.3}, False),  # a motorcycle
        ({"END": 0.9, "racket": 0.1}, False),
    ],
)
def test_half_a_phrase_is_what_the_model_would_go_on_with(likely: Any, half: bool) -> None:
    assert bool(PHRASES.half(log_probs(**likely)[None])[0]) is half


def test_a_word_said_twice_and_a_filler_are_flaws() -> None:
    def flaws(text: str, least: float = -0.1, half: bool = False) -> int:
        ids = [*(IDS[word] for word in text.split()), END]
        return PHRASES.flaws(np.array(ids), [least] * (len(ids) - 1) + [-20.0], half)

    assert flaws("a man holding a racket") == 0
    assert flaws("a parked motorcycle parked") == 1
    assert flaws("a motorcycle 2", least=-9.0) == 1
    assert flaws("parked motorcycle parked", least=-9.0, half=True) == 3


# What follows what, and how likely it is.
FOLLOWS: dict[str, dict[str, float]] = {
    "": {"a": 0.99},
    "a": {"man": 0.99},
    "a … a": {"tennis": 0.8, "yellow": 0.2},
    "man": {"holding": 0.9, "_is": 0.09, "END": 0.0001},
    "holding": {"a": 0.99},
    "tennis": {"racket": 0.99},
    "yellow": {"tennis": 0.99},
    "is": {"running": 0.99},
    "running": {"at": 0.9, "END": 0.0001},
    "racket": {"END": 0.99},
    "at": {"a": 0.99},
}


@pytest.mark.parametrize("way", [{}, {"beams": 3}])
@pytest.mark.parametrize(
    ("words", "caption"),
    [(3, "a man"), (5, "a man is running"), (6, "a man holding a tennis racket")],
)
def test_a_search_ends_with_a_whole_phrase(way: Any, words: int, caption: str) -> None:
    rules = WordRules(lambda: TEXTS, (END,), (START,))
    chosen = DecodeSettings(max_length=12, max_words=words, **way)
    names = {number: word for word, number in IDS.items()}

    def script(image: int, said: tuple[int, ...]) -> Any:
        spoken = [names.get(number, "") for number in said]
        last = "a … a" if spoken[-1] == "a" and spoken.count("a") > 1 else spoken[-1]
        return log_probs(**FOLLOWS.get(last, {"END": 0.5}))

    def begin(rows: Any, *, limited: bool) -> tuple[ScriptedModel, TokenIds]:
        return ScriptedModel(script, len(rows)), TokenIds(
            START,
            (END,),
            suppress=(START,),
            words=rules.constraints(chosen, SIZE, limited=limited),
            limits=rules.limits(chosen, SIZE),
        )

    found = decode_within(begin, 1, chosen)[0][0]
    assert " ".join(names[number] for number in found.ids[:-1]) == caption
