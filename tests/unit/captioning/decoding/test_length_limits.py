"""Limits in words and characters: counted by tokens as by the text, and kept by every search."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.captioning.caption_length import words_in
from capgen.captioning.decoding.ending_in_limits import ended_in_time, ends_well
from capgen.captioning.decoding.finished_captions import FinishedCaptions
from capgen.captioning.decoding.hypotheses import (
    Hypothesis,
    TokenIds,
    hypothesis,
    log_softmax,
)
from capgen.captioning.decoding.length_limits import LengthLimits, TokenLengths
from capgen.captioning.decoding.phrases import Phrases
from capgen.captioning.decoding.token_bytes import TokenBytes
from capgen.captioning.decoding.within_limits import decode_within
from capgen.captioning.decoding.word_rules import WordRules
from capgen.config import DecodeSettings
from tests.fakes import ScriptedModel, random_script

START, END = 0, 1
PIECES = {
    "<s>": 0,
    "</s>": 1,
    "Ġcat": 2,
    "s": 3,
    "Ġa": 4,
    "Ġthe": 5,
    "Ġ-": 6,
    "Ã": 7,
    "©": 8,
    ".": 9,
    "Ġ": 10,
    "a": 11,
}
TEXTS = TokenBytes(PIECES, frozenset({START, END}), {})
SIZE = len(PIECES)
LENGTHS = TokenLengths.of(TEXTS.table, SIZE)
PHRASES = Phrases.of(TEXTS.table, SIZE)
WHOLE = np.zeros(5, bool)


def text_of(ids: Any) -> str:
    return b"".join(TEXTS.table.get(int(n), b"") for n in ids).decode(errors="replace")


@given(st.lists(st.integers(2, SIZE - 1), max_size=8))
def test_tokens_are_counted_as_their_text_is(ids: list[int]) -> None:
    text = text_of(ids)
    if "\ufffd" in text:  # a part of a character
        return
    limits = LengthLimits(LENGTHS, 1, 1, PHRASES)
    found = limits.measure(np.array([START, *ids]))
    assert found.words == words_in(text)
    assert found.characters == len(text.lstrip())
    for most in range(8):
        fits = LengthLimits(LENGTHS, None, most, PHRASES).fits((), (*ids, END))
        assert fits == (len(text.strip()) <= most)


def run(chosen: DecodeSettings, seed: int, images: int = 1) -> list[list[Hypothesis]]:
    rules = WordRules(lambda: TEXTS, (END,), (START,))
    scripts = random_script(SIZE, seed=seed)

    def begin(rows: Any, *, limited: bool) -> tuple[ScriptedModel, TokenIds]:
        return ScriptedModel(scripts, len(rows)), TokenIds(
            START,
            (END,),
            suppress=(START,),
            words=rules.constraints(chosen, SIZE, limited=limited),
            limits=rules.limits(chosen, SIZE),
        )

    return decode_within(begin, images, chosen)


WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "beams": {"beams": 3, "num_captions": 2},
    "short first": {"beams": 2, "early_stopping": True},
    "words": {"beams": 2, "include_words": "cats", "avoid_words": "the"},
    "samples": {"sample": True, "num_captions": 3, "seed": 1},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", [{"max_words": 2}, {"max_characters": 6}, {"max_words": 3}])
def test_captions_fit_and_end(way: str, limit: dict[str, int]) -> None:
    for seed in range(20):
        chosen = DecodeSettings(max_length=9, **WAYS[way], **limit)
        for found in run(chosen, seed)[0][: chosen.num_captions]:
            text = text_of(found.ids).strip()
            if "\ufffd" in text:
                continue
            assert words_in(text) <= limit.get("max_words", 99), (seed, text)
            assert len(text) <= limit.get("max_characters", 99), (seed, text)


def test_captions_that_fit_anyway_stay_as_they_are() -> None:
    for seed, way in itertools.product(range(10), WAYS.values()):
        chosen = DecodeSettings(max_length=6, **way)
        plain = run(chosen, seed)[0]
        wide = run(replace(chosen, max_words=50, max_characters=500), seed)[0]
        assert [each.ids for each in wide] == [each.ids for each in plain]


def test_a_sample_ends_where_the_model_would() -> None:
    """Cut after two words it would be "the the"; the model ends after "the cats"."""
    limits = LengthLimits(LENGTHS, 2, None, PHRASES)
    ids = (PIECES["Ġthe"], PIECES["Ġcat"], PIECES["s"], PIECES["Ġa"], END)
    found = Hypothesis(ids, (-0.1,) * 5, -0.1, cut=True)
    ends = np.full(5, END)
    values = np.array([-9.0, -0.1, -2.0, -1.0, -0.5], np.float32)
    short = ended_in_time(found, limits, ends, values, WHOLE, 1.0)
    assert text_of(short.ids).strip() == "the cats"
    assert short.ids[-1] == END and not short.cut and ends_well(short)
    assert short.log_probabilities == (-0.1, -0.1, -0.1, -1.0)
    assert short.score == pytest.approx(-1.3 / 4)
    # Behind "the cats" the model expected the rest of a phrase.
    half = np.array([False, False, False, True, False])
    short = ended_in_time(found, limits, ends, values, half, 1.0)
    assert text_of(short.ids).strip() == "the cat"
    # It fits: nothing changes. No place is fit: nothing either.
    assert (
        ended_in_time(found, LengthLimits(LENGTHS, 3, None, PHRASES), ends, values, WHOLE, 1.0)
        is found
    )
    assert (
        ended_in_time(found, LengthLimits(LENGTHS, None, 2, PHRASES), ends, values, WHOLE, 1.0)
        is found
    )


def test_no_caption_ends_with_a_word_that_something_has_to_follow() -> None:
    limits = LengthLimits(LENGTHS, 2, None, PHRASES)
    for words, may_end in {
        ("Ġcat",): True,
        ("Ġthe",): False,
        ("Ġcat", "Ġthe"): False,
        ("Ġcat", "a"): True,  # the end of a longer word
        ("Ġthe", "s"): True,
        ("Ġcat", "."): True,
    }.items():
        lengths = limits.measure(np.array([[PIECES[word] for word in words]]))
        assert limits.allowed(lengths)[0, END] == may_end, words


def test_no_caption_ends_in_the_middle_of_next_to_or_in_front_of() -> None:
    words = (b" a", b" train", b" next", b" front", b" top")
    texts = dict(enumerate(words, start=2))
    limits = LengthLimits(TokenLengths.of(texts, 7), 6, None, Phrases.of(texts, 7))
    ends = limits.allowed(limits.measure(np.array([[2, 3, last] for last in (3, 4, 5, 6)])))
    # A top may be one that somebody wears.
    assert ends[:, END].tolist() == [True, False, False, True]


def test_after_the_last_word_there_is_no_other_punctuation_than_an_end() -> None:
    lengths = LengthLimits(LENGTHS, 1, None, PHRASES).measure(np.array([[PIECES["Ġcat"]]]))
    allowed = LengthLimits(LENGTHS, 1, None, PHRASES).allowed(lengths)[0]
    assert [name for name, number in PIECES.items() if allowed[number]] == [
        *("<s>", "</s>", "s", "Ã", "©", ".", "a"),
    ]


def test_what_stopped_at_the_longest_caption_says_so() -> None:
    chosen = DecodeSettings(max_length=3)
    found = [run(chosen, seed)[0][0] for seed in range(20)]
    assert {each.cut for each in found} == {True, False}
    assert all(each.cut == (each.ids[-1] != END) for each in found)
    assert not hypothesis([END], [0.0], 1.0).cut


def test_beams_know_which_of_them_end_behind_half_a_phrase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[int, tuple[int, ...], bool]] = []
    add = FinishedCaptions.add

    def seen(self: Any, image: int, ids: Any, log_probs: Any, *, half: bool) -> None:
        if self._limits is not None:
            told.append((int(image), tuple(map(int, ids)), half))
        add(self, image, ids, log_probs, half=half)

    monkeypatch.setattr(FinishedCaptions, "add", seen)
    both = set()
    for seed in range(8):
        told.clear()
        run(DecodeSettings(beams=3, max_length=9, max_words=2), seed, images=2)
        script = random_script(SIZE, seed=seed)
        for image, ids, half in told:
            scores = log_softmax(script(image, (START, *ids[:-1]))[None])
            assert half == PHRASES.half(scores)[0]
            both.add(half)
    assert len(both) == 2
