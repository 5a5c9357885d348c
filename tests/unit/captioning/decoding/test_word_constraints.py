"""Words to avoid and to include in every search, beside all captions there are."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capgen.captioning.decoding.decode import decode
from capgen.captioning.decoding.hypotheses import Hypothesis, TokenIds, hypothesis, log_softmax
from capgen.captioning.decoding.token_bytes import TokenBytes
from capgen.captioning.decoding.word_patterns import readers_of
from capgen.captioning.decoding.word_rules import WordRules
from capgen.config import DecodeSettings
from capgen.config.words import avoided_words, included_words
from tests.fakes import ScriptedModel, random_script

START, END = 0, 1
# Pieces of words, whole words, and an é in two pieces.
PIECES = {"<s>": 0, "</s>": 1, "Ġca": 2, "t": 3, "Ġcat": 4, "Ã": 5, "©": 6, "Ġdog": 7, "Ġa": 8}
TEXTS = TokenBytes(PIECES, frozenset({START, END}), {})
TOKENS = TokenIds(START, (END,))
SIZE = len(PIECES)

WAYS = {
    "greedy": {},
    "beams": {"beams": 3, "num_captions": 3},
    "wide": {"beams": 64},
    "samples": {"sample": True, "num_captions": 4, "seed": 1},
    "penalised": {"beams": 2, "repetition_penalty": 1.3, "min_length": 3},
    "short first": {"beams": 2, "early_stopping": True, "length_penalty": -1.0},
}
# What can and what cannot be said, in this order of length.
ASKED = [
    (None, "cat"),
    ("cat", None),
    ("cat,dog,a", None),
    ("ca", "cat"),
    ("cat", "cats|dog"),
    (None, "cat,dog"),
    (None, "caté,a"),
    ("é", "dog|caté,a cat"),
    ("a", "dog a|cat,dog cat"),
    (None, "zebra,dog"),
]


def rules() -> WordRules:
    return WordRules(lambda: TEXTS, (END,), (START,))


def run(chosen: DecodeSettings, seed: int, images: int = 1) -> list[list[Hypothesis]]:
    tokens = replace(TOKENS, suppress=(START,), words=rules().constraints(chosen, SIZE))
    return decode(ScriptedModel(random_script(SIZE, seed=seed), images), images, chosen, tokens)


def text_of(ids: tuple[int, ...]) -> str:
    return b"".join(TEXTS.table.get(token, b"") for token in ids).decode(errors="replace")


def faults(text: str, chosen: DecodeSettings, *, wanted: int | None = None) -> int:
    """How many words are not as asked; `wanted` are the included ones that count, as bits."""
    included = included_words(chosen.include_words)
    found = readers_of((), included).find(text) >> 1
    wanted = (1 << len(included)) - 1 if wanted is None else wanted
    said = readers_of(avoided_words(chosen.avoid_words), ()).find(text)
    return (wanted & ~found).bit_count() + said


def every_caption(longest: int) -> list[tuple[int, ...]]:
    found = []
    for length in range(1, longest):
        for ids in itertools.product(range(1, SIZE), repeat=length):
            ends = ids[-1] == END or length == longest - 1
            if END not in ids[:-1] and ends and "\ufffd" not in text_of(ids):
                found.append(ids)
    return found


CAPTIONS = {longest: every_caption(longest) for longest in (2, 3, 4, 5)}


@functools.cache
def is_possible(asked: tuple[str | None, str | None], longest: int, least: int) -> bool:
    """Whether any caption has the words as asked."""
    chosen = DecodeSettings(avoid_words=asked[0], include_words=asked[1])
    captions = (ids for ids in CAPTIONS[longest] if len(ids) >= least - 1)
    return any(not faults(text_of(ids), chosen) for ids in captions)


@pytest.mark.parametrize("longest", [2, 3, 4, 5])
@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_words_are_as_asked_where_any_caption_has_them(
    way: str, asked: tuple[str | None, str | None], longest: int
) -> None:
    chosen = DecodeSettings(
        **WAYS[way], max_length=longest, avoid_words=asked[0], include_words=asked[1]
    )
    if chosen.min_length > longest:
        return
    possible = is_possible(asked, longest, chosen.min_length)
    for seed in range(6):
        for image in run(chosen, seed, images=2):
            assert image
            for each in image:
                text = text_of(each.ids)
                assert not readers_of(avoided_words(asked[0]), ()).find(text)
                if possible:
                    assert not faults(text, chosen), (text, seed)


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_wide_enough_finds_the_best_of_all_captions_as_asked(
    asked: tuple[str | None, str | None], penalty: float
) -> None:
    chosen = DecodeSettings(
        beams=64, max_length=4, length_penalty=penalty, avoid_words=asked[0], include_words=asked[1]
    )
    fine = [ids for ids in CAPTIONS[4] if not faults(text_of(ids), chosen)]
    for seed in range(5):
        script = random_script(SIZE, seed=seed)
        ranked = []
        for ids in fine:
            said: tuple[int, ...] = (START,)
            parts = []
            for token in ids:
                parts.append(log_softmax(script(0, said)[None])[0, token])
                said = (*said, token)
            ranked.append(hypothesis(ids, parts, penalty))
        ranked.sort(key=lambda item: -item.score)
        (found,) = run(chosen, seed)
        # Not those with half an é.
        found = [each for each in found if "\ufffd" not in text_of(each.ids)]
        if ranked:
            assert found[0].ids == ranked[0].ids
            assert found[0].score == pytest.approx(ranked[0].score, rel=1e-5)


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_the_tokens_that_are_needed_are_those_of_the_shortest_caption(
    asked: tuple[str | None, str | None],
) -> None:
    chosen = DecodeSettings(max_length=9, avoid_words=asked[0], include_words=asked[1])
    constraints = rules().constraints(chosen, SIZE)
    assert constraints is not None
    needed = int(constraints.automaton.needed[0, 0])
    captions = [ids for ids in CAPTIONS[5] if ids[-1] == END]
    lengths = [len(ids) - 1 for ids in captions if not faults(text_of(ids), chosen)]
    if lengths:
        assert needed == min(lengths)
    else:
        assert needed >= 4


def test_words_that_cannot_be_said_do_not_keep_others_out() -> None:
    """Words that come first are preferred where there is no room for all."""
    for way in WAYS.values():
        chosen = DecodeSettings(**way, max_length=8, include_words="zebra,dog,cat")
        for image in run(chosen, 3):
            for each in image:
                assert faults(text_of(each.ids), chosen, wanted=0b110) == 0
        short = replace(chosen, max_length=3, min_length=0, include_words="dog a,cat,a dog,dog")
        for image in run(short, 3):
            for each in image:
                assert faults(text_of(each.ids), short, wanted=0b1001) == 0


@given(
    st.integers(0, 500),
    st.lists(st.sampled_from(["cat", "ca", "dog", "a", "é", "cat dog", "a dog"]), max_size=2),
    st.lists(st.sampled_from(["cat", "dog", "a|é", "caté", "a a"]), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_a_caption_does_not_depend_on_its_batch(
    seed: int, avoided: list[str], included: list[str]
) -> None:
    chosen = DecodeSettings(
        beams=3,
        max_length=8,
        avoid_words=",".join(avoided) or None,
        include_words=",".join(included) or None,
    )
    script = random_script(SIZE, seed=seed)
    words = rules().constraints(chosen, SIZE)
    tokens = replace(TOKENS, words=words)
    together = decode(ScriptedModel(script, 3), 3, chosen, tokens)
    for image, found in enumerate(together):
        model = ScriptedModel(lambda _, said, image=image: script(image, said), 1)
        (alone,) = decode(model, 1, chosen, tokens)
        assert [item.ids for item in alone] == [item.ids for item in found]


def test_scores_are_those_of_the_model() -> None:
    chosen = DecodeSettings(beams=3, max_length=8, avoid_words="a", include_words="cat,dog")
    script = random_script(SIZE, seed=2)
    for each in run(chosen, 2)[0]:
        said: tuple[int, ...] = (START,)
        for token, value in zip(each.ids, each.log_probabilities, strict=True):
            expected = log_softmax(script(0, said)[None])[0, token]
            assert value == pytest.approx(float(expected), abs=1e-5)
            said = (*said, token)


def test_without_words_there_are_no_constraints() -> None:
    assert rules().constraints(DecodeSettings(beams=3), SIZE) is None


@pytest.mark.parametrize("way", [{"beams": 2}, {}], ids=str)
def test_where_another_setting_bars_the_word_there_is_still_a_caption(way: dict) -> None:
    """One without the avoided word."""
    chosen = DecodeSettings(
        **way, max_length=7, no_repeat_ngram_size=1, include_words="cat cat", avoid_words="dog"
    )
    tokens = replace(TOKENS, suppress=(START, 2), words=rules().constraints(chosen, SIZE))
    for seed in range(5):
        model = ScriptedModel(random_script(SIZE, seed=seed), 1)
        for each in decode(model, 1, chosen, tokens)[0]:
            assert np.isfinite(each.score)
            assert "dog" not in text_of(each.ids).split()


def test_a_beam_that_other_settings_leave_no_way_gives_way_to_others() -> None:
    """Beams that began otherwise can still say both words, if with a lower score."""

    def script(image: int, said: tuple[int, ...]) -> np.ndarray:
        row = np.zeros(SIZE, np.float32)
        row[3] = 9.0  # "t" again and again, which bars " cat" and "t" later
        return row

    chosen = DecodeSettings(
        beams=2, num_captions=2, max_length=6, no_repeat_ngram_size=1, include_words="cat,dog"
    )
    tokens = replace(TOKENS, suppress=(START, 4), words=rules().constraints(chosen, SIZE))
    for each in decode(ScriptedModel(script, 1), 1, chosen, tokens)[0]:
        assert faults(text_of(each.ids), chosen) == 0, text_of(each.ids)
