"""A noun said again loses, in greedy decoding, beam search and sampling."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capgen.captioning.decoding.decode import decode
from capgen.captioning.decoding.hypotheses import Hypothesis, TokenIds, hypothesis, log_softmax
from capgen.captioning.decoding.noun_table import NOUN_PENALTY, NounTable
from capgen.config import DecodeSettings
from tests.fakes import Script, ScriptedModel, random_script

START, END, ON = 0, 1, 2
CAT, CATS, BED = 3, 4, 5  # "cats" is a noun of its own
TABLE = NounTable(np.array([0, 0, 0, 1, 2, 3]))
TOKENS = TokenIds(START, (END,), nouns=TABLE)

ONCE = DecodeSettings(max_length=9, repeat_nouns=False)
WAYS = {
    "greedy": ONCE,
    "beams": replace(ONCE, beams=3),
    "all beams": replace(ONCE, beams=4, num_captions=4),
    "beams, penalties": replace(ONCE, beams=3, repetition_penalty=1.1, temperature=0.8),
    "stops early": replace(ONCE, beams=3, early_stopping=True),
    "sampling": replace(ONCE, sample=True, seed=5, num_captions=4),
    "narrow sampling": replace(ONCE, sample=True, seed=5, top_k=1),
    "nucleus": replace(ONCE, sample=True, seed=5, top_p=0.3, temperature=1.4),
}


def run(
    script: Script, chosen: DecodeSettings, images: int = 1, tokens: TokenIds = TOKENS
) -> list[list[Hypothesis]]:
    return decode(ScriptedModel(script, images), images, chosen, tokens)


def repeats(ids: tuple[int, ...]) -> int:
    nouns = [number for number in TABLE.numbers[list(ids)] if number]
    return len(nouns) - len(set(nouns))


def loves_cats(image: int, said: tuple[int, ...]) -> np.ndarray:
    """Says "cat on cat on cat …" if it may, and a bed is the next best thing."""
    scores = np.array([-9, -2, 0, 4, -6, 2], np.float32)
    if said[-1] != ON and said[-1] != START:
        scores[[CAT, BED]] -= 9
        scores[END] = 0.5 if len(said) > 3 else -9
    return scores


class TestTable:
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.data())
    def test_penalties_are_for_nouns_that_are_said(
        self, history: list[int], data: st.DataObject
    ) -> None:
        tokens = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=5))
        some = TABLE.penalties(np.array([history]), np.array([tokens]))
        every = TABLE.penalties(np.array([history]))
        assert some.dtype == every.dtype == np.float32
        assert every.tolist() == [[NOUN_PENALTY * (n in history and n >= CAT) for n in range(6)]]
        assert some.tolist() == [[every[0, token] for token in tokens]]
        assert (every > 0).sum() <= TABLE.max_penalised(np.array([history]))

    def test_tokens_of_one_noun_are_one(self) -> None:
        table = NounTable(np.array([0, 1, 1, 2]))
        assert table.count == 2
        assert table.penalties(np.array([1, 0])).tolist() == [0, NOUN_PENALTY, NOUN_PENALTY, 0]
        assert table.max_penalised(np.array([[1, 0], [3, 0]])) == 2
        assert table.repeated(np.array([2, 0, 0, 1, 3, 1])).tolist() == [0, 0, 0, 1, 0, 1]

    def test_without_nouns_nothing_costs(self) -> None:
        table = NounTable(np.zeros(4, np.int64))
        assert not table.penalties(np.array([[1, 1], [2, 3]])).any()
        assert table.max_penalised(np.array([[1, 1]])) == 0
        assert not table.repeated(np.array([1, 1])).any()


@pytest.mark.parametrize("way", WAYS)
def test_a_noun_is_said_once(way: str) -> None:
    for found in run(loves_cats, WAYS[way], 3):
        assert all(repeats(one.ids) == 0 for one in found)
        if "sampling" not in way and way != "nucleus":
            assert sorted(found[0].ids) == [END, ON, CAT, BED]


@pytest.mark.parametrize("way", ["greedy", "beams"])
def test_it_may_be_said_again_where_that_is_asked_for_or_nouns_are_not_known(way: str) -> None:
    expected = (CAT, ON, CAT)
    asked = replace(WAYS[way], repeat_nouns=True)
    for chosen, tokens in ((asked, TOKENS), (WAYS[way], replace(TOKENS, nouns=None))):
        ((found, *_),) = run(loves_cats, chosen, tokens=tokens)
        assert found.ids[:3] == expected
        assert found.penalty == 0


@pytest.mark.parametrize("way", ["greedy", "beams", "all beams"])
def test_probabilities_and_scores_are_the_models(way: str) -> None:
    """Not those of what is left when nouns are out."""
    (found,) = run(loves_cats, WAYS[way])
    for one in found:
        said: tuple[int, ...] = (START,)
        for token, value in zip(one.ids, one.log_probabilities, strict=True):
            assert value == pytest.approx(
                log_softmax(loves_cats(0, said)[None])[0, token], abs=1e-5
            )
            said = (*said, token)
        assert one.score == pytest.approx(sum(one.log_probabilities) / len(one.ids))


@pytest.mark.parametrize("way", WAYS)
def test_where_every_way_on_repeats_there_is_a_caption(way: str) -> None:
    tokens = TokenIds(START, (END,), suppress=(ON, CATS, BED), nouns=TABLE)

    def only_cats(image: int, said: tuple[int, ...]) -> np.ndarray:
        # Neither may it end before the fifth token.
        return np.array([-np.inf, 0 if len(said) > 4 else -np.inf, 0, 1, 0, 0], np.float32)

    for found in run(only_cats, replace(WAYS[way], num_captions=1), 2, tokens):
        best = found[0]
        assert best.ids == (CAT, CAT, CAT, CAT, END)
        assert np.isfinite(best.score)
        assert best.score > -NOUN_PENALTY / 2  # what it costs is not in the score
        assert best.penalty == pytest.approx(3 * NOUN_PENALTY / 5)
        assert best.rank == pytest.approx(best.score - best.penalty)


def test_a_hypothesis_that_repeats_is_ranked_behind_those_that_do_not() -> None:
    once = hypothesis((CAT, ON, BED, END), (-3.0, -2.0, -9.0, -1.0), 1.0, TABLE)
    again = hypothesis((CAT, ON, CAT, END), (-3.0, -2.0, -0.1, -1.0), 1.0, TABLE)
    assert again.score > once.score
    assert again.rank < once.rank == once.score


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_wide_enough_finds_the_best_of_all_captions(seed: int, penalty: float) -> None:
    script = random_script(6, seed=seed)
    chosen = replace(ONCE, beams=64, num_captions=10, max_length=4, length_penalty=penalty)
    everything = []
    for length in (1, 2, 3):
        for ids in itertools.product(range(6), repeat=length):
            if END in ids[:-1] or not (ids[-1] == END or length == 3):
                continue
            said: tuple[int, ...] = (START,)
            parts = []
            for token in ids:
                parts.append(log_softmax(script(0, said)[None])[0, token])
                said = (*said, token)
            everything.append(hypothesis(ids, parts, penalty, TABLE))
    best = sorted(everything, key=lambda one: -one.rank)[:10]
    (found,) = run(script, chosen)
    assert [one.ids for one in found[:10]] == [one.ids for one in best]
    np.testing.assert_allclose([o.rank for o in found[:10]], [o.rank for o in best], rtol=1e-5)


@given(st.integers(0, 500), st.integers(2, 6))
@settings(max_examples=25, deadline=None)
def test_the_few_best_tokens_are_enough(seed: int, beams: int) -> None:
    """The search sees the best tokens only, or all: it finds the same."""
    table = NounTable(np.arange(12) * (np.arange(12) > 1))  # all but start and end are nouns
    tokens = TokenIds(START, (END,), nouns=table)
    few = DecodeSettings(beams=beams, num_captions=beams, max_length=8, repeat_nouns=False)
    every = replace(few, min_length=1)  # which changes nothing, but needs all scores
    script = random_script(12, seed=seed)
    (first,), (second,) = (run(script, chosen, tokens=tokens) for chosen in (few, every))
    assert [one.ids for one in first] == [one.ids for one in second]


@pytest.mark.parametrize("way", WAYS)
def test_a_caption_does_not_depend_on_its_batch(way: str) -> None:
    script = random_script(6, spread=1.5)
    for image, found in enumerate(run(script, WAYS[way], images=9)):
        (alone,) = run(lambda _, said, image=image: script(image, said), WAYS[way])
        assert [one.ids for one in alone] == [one.ids for one in found]
        np.testing.assert_allclose(
            [one.score for one in alone], [one.score for one in found], rtol=1e-5
        )


def test_a_table_of_another_width() -> None:
    assert TABLE.of_width(6) is TABLE
    assert TABLE.of_width(9).numbers.tolist() == [0, 0, 0, 1, 2, 3, 0, 0, 0]
    narrow = TABLE.of_width(4)
    assert narrow.penalties(np.array([[CAT, ON]])).tolist() == [[0, 0, 0, NOUN_PENALTY]]


@pytest.mark.parametrize("way", WAYS)
def test_nouns_of_the_prefix_are_said(way: str) -> None:
    tokens = replace(TOKENS, prefix=(CAT, ON))
    for found in run(loves_cats, WAYS[way], 2, tokens):
        assert CAT not in found[0].ids
        assert found[0].penalty == 0.0


def test_what_the_prefix_repeats_costs_nothing() -> None:
    given_twice = hypothesis((ON, BED, END), (-1.0, -1.0, -1.0), 1.0, TABLE, (CAT, CAT))
    assert given_twice.penalty == 0.0
    again = hypothesis((ON, CAT, END), (-1.0, -1.0, -1.0), 1.0, TABLE, (CAT,))
    assert again.penalty == pytest.approx(NOUN_PENALTY / 3)
