"""What concepts add in a search: until they are said, and only where hypotheses are ranked."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from capgen.captioning.decoding.concept_bonus import ConceptBonus, concept_bonus
from capgen.captioning.decoding.decode import decode
from capgen.captioning.decoding.hypotheses import Hypothesis, TokenIds, hypothesis, log_softmax
from capgen.captioning.decoding.noun_table import NounTable
from capgen.config import DecodeSettings
from capgen.models.concept_table import ConceptTable
from tests.fakes import Script, ScriptedModel, random_script

START, END = 0, 1
DOG, DOGS, CAT, BEAR, GRASS = 2, 3, 4, 5, 6
TOKENS = [(DOG, DOGS), (CAT,), (BEAR,), (BEAR, CAT), (), (GRASS,)]
NAMES = ["dog", "cat", "bear", "animal", "teddy bear", "grass"]


def amounts(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def gains(bonus: ConceptBonus, *said: int, image: int = 0) -> dict[int, float]:
    """What continuing with each token adds after what was said, without those that get 0."""
    row = bonus.gains(np.array([[START, *said]]), np.array([image]))[0]
    return {t: float(v) for t, v in zip(bonus.tokens.tolist(), row, strict=True) if v}


def test_all_words_of_a_concept_get_it_until_one_is_said() -> None:
    bonus = ConceptBonus(amounts([3, 0, 0, 0, 0, 1]), TOKENS)
    assert gains(bonus) == {DOG: 3, DOGS: 3, GRASS: 1}
    assert gains(bonus, CAT) == {DOG: 3, DOGS: 3, GRASS: 1}
    assert gains(bonus, DOGS) == {GRASS: 1}
    assert gains(bonus, GRASS, 7, DOG) == {}


def test_of_concepts_that_share_a_word_the_larger_counts() -> None:
    bonus = ConceptBonus(amounts([0, 1, 4, 2, 0, 0]), TOKENS)
    assert gains(bonus) == {CAT: 2, BEAR: 4}
    assert gains(bonus, BEAR) == {CAT: 1}  # "animal" is said with it
    assert gains(bonus, CAT) == {BEAR: 4}


def test_a_word_of_a_related_concept_ends_it_too() -> None:
    """After "cat" neither "animal" nor "bear" is favoured, if they are related."""
    ended_by = [(DOG, DOGS), (CAT,), (BEAR, CAT), (BEAR, CAT, DOG), (), (GRASS, 9)]
    bonus = ConceptBonus(amounts([3, 1, 4, 2, 0, 1]), TOKENS, ended_by)
    assert gains(bonus, CAT) == {DOG: 3, DOGS: 3, GRASS: 1}
    assert gains(bonus, DOG) == {CAT: 1, BEAR: 4, GRASS: 1}  # not the 2 of "animal"
    assert 9 not in bonus.tokens  # it ends a concept without saying one
    assert GRASS not in gains(bonus, 9)
    earned = bonus.earned(np.array([START, CAT, BEAR, 9, GRASS, DOG]), 1, 0)
    assert earned.tolist() == [2, 0, 0, 0, 3]  # "cat" also says "animal"


def test_a_table_tells_what_ends_each_concept() -> None:
    none = np.zeros(3, np.float32)
    table = ConceptTable(("dog", "poodle", "cat"), ((1, 2), (3,), (4,)), none, 0.1, none, none)
    assert table.ended_by == ((1, 2), (3,), (4,))
    related = dataclasses.replace(table, related=((1,), (0,), ()))
    assert related.ended_by == ((1, 2, 3), (1, 2, 3), (4,))


def test_a_margin_is_taken_off_until_the_word_is_said() -> None:
    bonus = ConceptBonus(amounts([-2, 0, -3, 0, 0, 1]), TOKENS)
    # "animal" gets nothing, which is more than what "bear" loses.
    assert gains(bonus) == {DOG: -2, DOGS: -2, GRASS: 1}
    assert gains(bonus, DOG) == {GRASS: 1}
    assert bonus.gaining.tolist() == [[GRASS]]
    assert bonus.losing == 2


def test_each_image_has_its_own() -> None:
    bonus = ConceptBonus(amounts([3, 0, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0]), TOKENS)
    assert gains(bonus, image=0) == {DOG: 3, DOGS: 3}
    assert gains(bonus, image=1) == {CAT: 2}
    together = bonus.gains(np.array([[START, DOG], [START, DOG]]), np.array([1, 0]))
    assert together.max(axis=1).tolist() == [2, 0]
    assert len(bonus) == 2


def table(threshold: float = 0.5, strength: float = 4.0, margin: float = 0.0) -> ConceptTable:
    count = len(NAMES)
    return ConceptTable(
        names=tuple(NAMES),
        tokens=tuple(TOKENS),
        strength=np.full(count, strength, np.float32),
        threshold=threshold,
        margin=np.array([margin, *[0] * (count - 1)], np.float32),
        prior=np.full(count, 0.1, np.float32),
    )


def test_strength_times_probability_above_the_threshold() -> None:
    logits = amounts([2, 0.1, -0.1, -50, 50, 0])
    found = table(margin=1).amounts(logits, 0.5)[0]
    sure = 1 / (1 + np.exp(-2.0))
    almost = 1 / (1 + np.exp(-0.1))
    np.testing.assert_allclose(found, [2 * sure - 1, 2 * almost, 0, 0, 2, 0], rtol=1e-5)


def test_nothing_to_add_is_no_bonus() -> None:
    low = amounts([-9, -9, -9, -9, -9, -9])
    assert concept_bonus(table(), low, 1.0) is None
    assert concept_bonus(table(margin=1), low, 1.0) is not None
    assert concept_bonus(table(margin=1), low, 0.0) is None
    only_a_tag = amounts([-9, -9, -9, -9, 9, -9])  # a teddy bear, which no token says
    assert concept_bonus(table(), only_a_tag, 1.0) is None
    assert concept_bonus(None, None, 1.0) is None


def test_records_have_the_likeliest_first() -> None:
    (seen,) = table().seen(amounts([0, 3, -3, -1, 60, -2.1]))
    assert [concept.name for concept in seen] == ["teddy bear", "cat", "dog", "animal", "grass"]
    assert [concept.probability for concept in seen] == [1.0, 0.9526, 0.5, 0.2689, 0.1091]


def ranked(
    script: Script, vocabulary: int, chosen: DecodeSettings, tokens: TokenIds
) -> list[float]:
    """The ranks of all captions there are, best first, by trying them one and all."""
    found = []
    for length in range(1, chosen.max_length):
        for ids in itertools.product(range(vocabulary), repeat=length):
            ends = ids[-1] == END or length == chosen.max_length - 1
            if END in ids[:-1] or not ends:
                continue
            total, said = 0.0, [START]
            for token in ids:
                total += float(log_softmax(script(0, tuple(said))[None])[0, token])
                assert tokens.concepts is not None
                total += gains(tokens.concepts, *said[1:]).get(token, 0.0)
                said.append(token)
            found.append(total / len(ids) ** chosen.length_penalty)
    return sorted(found, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_wide_enough_finds_the_best_of_all(seed: int, penalty: float) -> None:
    script = random_script(6, seed=seed)
    bonus = ConceptBonus(amounts([2.5, -1, 0, 0.5, 0, 0]), [*TOKENS[:5], ()])
    tokens = TokenIds(START, (END,), concepts=bonus)
    chosen = DecodeSettings(beams=64, max_length=4, length_penalty=penalty, repeat_nouns=True)
    (found,) = decode(ScriptedModel(script, 1), 1, chosen, tokens)
    best = ranked(script, 6, chosen, tokens)[:10]
    np.testing.assert_allclose([item.rank for item in found[:10]], best, rtol=1e-4)


def run(settings: DecodeSettings, tokens: TokenIds, seed: int = 0) -> list[list[Hypothesis]]:
    script = random_script(60, seed=seed, spread=3)
    return decode(ScriptedModel(script, 2), 2, settings, tokens)


@pytest.mark.parametrize("seed", range(4))
def test_words_that_are_far_from_likely_are_found(seed: int) -> None:
    """Among the candidates of the decoder they are not: those must be asked for."""
    rows = amounts([12, 0, 0, 0, 0, -4], [0, 11, -6, 0, 0, 12])
    tokens = TokenIds(START, (END,), suppress=(START,), concepts=ConceptBonus(rows, TOKENS))
    settings = DecodeSettings(beams=2, max_length=8)
    few = run(settings, tokens, seed)
    # A penalty of next to nothing makes the search look at the whole vocabulary.
    every = run(DecodeSettings(beams=2, max_length=8, repetition_penalty=1 + 1e-6), tokens, seed)
    assert [[each.ids for each in image] for image in few] == [
        [each.ids for each in image] for image in every
    ]
    assert {DOG, DOGS} & {*few[0][0].ids}
    assert {CAT, GRASS} <= {*few[1][0].ids}


@pytest.mark.parametrize("settings", [DecodeSettings(max_length=8), DecodeSettings(beams=3)])
def test_scores_are_those_of_the_plain_model(settings: DecodeSettings) -> None:
    rows = amounts([12, 0, 0, 0, 0, -4], [0, 11, -6, 0, 0, 12])
    bonus = ConceptBonus(rows, TOKENS)
    nouns = NounTable(np.array([0, 0, 1, 1, 2, 3, 4, *[0] * 53]))
    script = random_script(60, spread=3)
    tokens = TokenIds(START, (END,), nouns=nouns, concepts=bonus)
    for image, found in enumerate(run(settings, tokens)):
        for each in found:
            said: tuple[int, ...] = (START,)
            for token, value in zip(each.ids, each.log_probabilities, strict=True):
                plain = log_softmax(script(image, said)[None])[0, token]
                assert value == pytest.approx(float(plain), abs=1e-5)
                said = (*said, token)
            assert each.score == pytest.approx(sum(each.log_probabilities) / len(each.ids))
            assert each.rank > each.score  # it says what it is paid for


def test_what_a_caption_begins_with_is_said() -> None:
    bonus = ConceptBonus(amounts([5, 3, 0, 0, 0, 0]), TOKENS)
    tokens = TokenIds(START, (END,), prefix=(7, DOG), concepts=bonus)
    assert tokens.bonus([DOGS, CAT, DOG], 0) == 3
    assert TokenIds(START, (END,), concepts=bonus).bonus([DOGS, CAT, DOG], 0) == 8
    assert hypothesis([DOGS, CAT], [-1, -1], 1.0, bonus=8).rank == pytest.approx(3)


def test_nothing_is_drawn_from_beyond_what_sampling_allows() -> None:
    """With `top_k` the likeliest tokens are those with the bonus; no probability is zero."""
    rows = amounts([9, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 9])
    tokens = TokenIds(START, (END,), concepts=ConceptBonus(rows, TOKENS))
    settings = DecodeSettings(sample=True, seed=1, num_captions=20, top_k=2, max_length=6)
    first, second = run(settings, tokens)
    assert all({DOG, DOGS} & {*each.ids} for each in first)
    assert all(GRASS in each.ids for each in second)
    for each in (*first, *second):
        assert np.isfinite(each.log_probabilities).all()
        assert max(each.log_probabilities) <= 0
