"""Greedy, beam search and sampling on scripted decoders."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capgen.captioning.decoding.decode import decode
from capgen.captioning.decoding.hypotheses import Hypothesis, TokenIds, hypothesis, log_softmax
from capgen.captioning.decoding.sampling import draw
from capgen.config import DecodeSettings
from capgen.errors import ModelError
from tests.fakes import Script, ScriptedModel, random_script

START, END = 0, 1
TOKENS = TokenIds(START, (END,))


def run(
    script: Script, chosen: DecodeSettings, images: int = 1, tokens: TokenIds = TOKENS
) -> list[list[Hypothesis]]:
    return decode(ScriptedModel(script, images), images, chosen, tokens)


def every_caption(script: Script, vocabulary: int, chosen: DecodeSettings, image: int = 0):
    """All captions there are, best first, by trying them one and all."""
    found = []
    for length in range(1, chosen.max_length):
        for ids in itertools.product(range(vocabulary), repeat=length):
            ends = ids[-1] == END or length == chosen.max_length - 1
            if END in ids[:-1] or not ends:
                continue
            said, parts = (START,), []
            for token in ids:
                parts.append(log_softmax(script(image, said)[None])[0, token])
                said = (*said, token)
            found.append(hypothesis(ids, parts, chosen.length_penalty))
    return sorted(found, key=lambda item: -item.score)


@pytest.mark.parametrize("penalty", [-1.0, 0.0, 1.0, 2.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_wide_enough_finds_the_best_captions_of_all(seed: int, penalty: float) -> None:
    script = random_script(4, seed=seed)
    chosen = DecodeSettings(beams=64, num_captions=10, max_length=4, length_penalty=penalty)
    (found,) = run(script, chosen)
    best = every_caption(script, 4, chosen)[:10]
    assert [item.ids for item in found[:10]] == [item.ids for item in best]
    np.testing.assert_allclose([i.score for i in found[:10]], [i.score for i in best], rtol=1e-5)


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_one_beam_takes_the_likeliest_token_each_time(seed: int) -> None:
    script = random_script(6, seed=seed)
    ((found,),) = run(script, DecodeSettings(max_length=8))
    said: tuple[int, ...] = (START,)
    for token, value in zip(found.ids, found.log_probabilities, strict=True):
        expected = log_softmax(script(0, said)[None])[0]
        assert token == expected.argmax()
        assert value == pytest.approx(float(expected.max()), abs=1e-6)
        said = (*said, token)
    assert len(found.ids) == 7 or found.ids[-1] == END
    assert END not in found.ids[:-1]


@given(st.integers(0, 1000), st.integers(2, 6), st.sampled_from([0.0, 1.0, 2.0]))
@settings(max_examples=25, deadline=None)
def test_the_score_is_the_sum_over_the_length(seed: int, beams: int, penalty: float) -> None:
    chosen = DecodeSettings(beams=beams, num_captions=beams, max_length=7, length_penalty=penalty)
    (found,) = run(random_script(6, seed=seed), chosen)
    assert len(found) == beams
    assert len({item.ids for item in found}) == beams
    scores = [item.score for item in found]
    assert scores == sorted(scores, reverse=True)
    for item in found:
        assert item.log_probability == pytest.approx(sum(item.log_probabilities))
        assert item.score == pytest.approx(item.log_probability / len(item.ids) ** penalty)


VARIETY = [
    DecodeSettings(max_length=9),
    DecodeSettings(beams=3, max_length=9),
    DecodeSettings(beams=3, max_length=9, early_stopping=True),
    DecodeSettings(beams=5, num_captions=5, max_length=12, min_length=3, repetition_penalty=1.2),
    DecodeSettings(beams=2, max_length=9, temperature=0.5, no_repeat_ngram_size=2),
    DecodeSettings(sample=True, seed=3, max_length=9, top_k=4),
    DecodeSettings(sample=True, seed=3, max_length=9, num_captions=3, temperature=1.5),
]


@pytest.mark.parametrize("chosen", VARIETY, ids=range(len(VARIETY)))
def test_a_caption_does_not_depend_on_its_batch(chosen: DecodeSettings) -> None:
    script = random_script(6, spread=1.5)
    together = run(script, chosen, images=9)
    for image, found in enumerate(together):
        (alone,) = run(lambda _, said, image=image: script(image, said), chosen)
        assert [item.ids for item in alone] == [item.ids for item in found]
        np.testing.assert_allclose(
            [item.score for item in alone], [item.score for item in found], rtol=1e-5
        )


@pytest.mark.parametrize("chosen", VARIETY, ids=range(len(VARIETY)))
def test_finished_images_leave_the_batch(chosen: DecodeSettings) -> None:
    """Image n ends after n tokens; the model then sees the rest only."""

    def script(image: int, said: tuple[int, ...]) -> np.ndarray:
        row = np.linspace(0, 1, 8, dtype=np.float32)
        row[END] = 60.0 if len(said) > image else -60.0
        return row

    model = ScriptedModel(script, 5)
    found = decode(
        model,
        5,
        replace(
            chosen, min_length=0, beams=min(chosen.beams, 3), num_captions=1, repetition_penalty=1.0
        ),
        TOKENS,
    )
    assert [len(items[0].ids) for items in found] == [1, 2, 3, 4, 5]
    assert model.batches[0] == 5
    assert model.batches[-1] < 5
    assert model.kept, "nothing was left out"
    assert sorted(model.batches, reverse=True) == model.batches


def test_every_caption_ends_at_the_longest_length() -> None:
    never_ends = lambda image, said: np.array([0, -99, 1, 0], np.float32)  # noqa: E731
    for chosen in VARIETY:
        for found in run(never_ends, replace(chosen, max_length=5, no_repeat_ngram_size=0), 2):
            assert {len(item.ids) for item in found} == {4}


@pytest.mark.parametrize("chosen", VARIETY, ids=range(len(VARIETY)))
def test_barred_tokens_are_never_said(chosen: DecodeSettings) -> None:
    tokens = TokenIds(START, (END,), suppress=(0, 2, 4))
    for found in run(random_script(8, spread=4.0), chosen, images=6, tokens=tokens):
        for item in found:
            assert not set(item.ids) & {0, 2, 4}
            assert np.isfinite(item.score)


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_any_end_token_ends(beams: int) -> None:
    tokens = TokenIds(START, (1, 2))
    for found in run(random_script(5), DecodeSettings(beams=beams, max_length=30), 6, tokens):
        assert found[0].ids[-1] in (1, 2)
        assert not set(found[0].ids[:-1]) & {1, 2}


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("shortest", [0, 2, 5, 9])
def test_the_shortest_length_counts_the_start_token(beams: int, shortest: int) -> None:
    eager = lambda image, said: np.array([0, 9, 1, 2, 3], np.float32)  # noqa: E731
    chosen = DecodeSettings(beams=beams, min_length=shortest, max_length=9)
    ((found, *_),) = run(eager, chosen)
    assert len(found.ids) + 1 >= shortest
    assert END not in found.ids[: shortest - 1]


def test_no_run_of_tokens_twice() -> None:
    chosen = DecodeSettings(beams=3, max_length=14, no_repeat_ngram_size=2)
    monotone = lambda image, said: np.array([-9, -9, 3, 2, 1, 0], np.float32)  # noqa: E731
    (found,) = run(monotone, chosen)
    assert len(found) == 3
    for one in found:
        pairs = list(itertools.pairwise((START, *one.ids)))
        assert len(pairs) == len(set(pairs))


class TestEarlyStopping:
    """An image whose short caption finishes first and whose long ones are better later."""

    def script(self, image: int, said: tuple[int, ...]) -> np.ndarray:
        probabilities = {
            1: [0.02, 0.34, 0.33, 0.31],
            2: [0.01, 0.49, 0.25, 0.25],
        }.get(len(said), [0.001, 0.997, 0.001, 0.001])
        return np.log(np.array(probabilities, np.float32))

    def captions(self, early: bool | str) -> tuple[list[Hypothesis], int]:
        chosen = DecodeSettings(
            beams=2, num_captions=2, max_length=8, early_stopping=early, length_penalty=2.0
        )
        model = ScriptedModel(self.script, 1)
        (found,) = decode(model, 1, chosen, TOKENS)
        return found, len(model.batches)

    def test_true_stops_at_as_many_captions_as_beams(self) -> None:
        found, steps = self.captions(True)
        assert steps == 2
        assert sorted(len(item.ids) for item in found) == [2, 2]

    def test_never_goes_on_while_a_longer_one_could_win(self) -> None:
        stopped, early_steps = self.captions(True)
        found, steps = self.captions("never")
        assert steps > early_steps
        assert found[0].score > stopped[0].score

    def test_false_judges_by_the_length_so_far(self) -> None:
        _, steps_true = self.captions(True)
        _, steps_false = self.captions(False)
        _, steps_never = self.captions("never")
        assert steps_true <= steps_false <= steps_never


class TestSampling:
    def test_a_seed_gives_the_same_captions_again(self) -> None:
        chosen = DecodeSettings(sample=True, seed=11, num_captions=4, max_length=9)
        script = random_script(6)
        assert run(script, chosen, 3) == run(script, chosen, 3)
        assert run(script, chosen, 3) != run(script, replace(chosen, seed=12), 3)

    def test_the_same_image_twice_in_a_batch_is_captioned_the_same(self) -> None:
        script = random_script(6)
        same = lambda image, said: script(0, said)  # noqa: E731
        first, second = run(same, DecodeSettings(sample=True, seed=5, max_length=9), 2)
        assert first == second

    def test_without_a_seed_captions_vary(self) -> None:
        chosen = DecodeSettings(sample=True, max_length=20)
        flat = lambda image, said: np.zeros(50, np.float32)  # noqa: E731
        assert len({run(flat, chosen)[0][0].ids for _ in range(5)}) == 5

    def test_the_callers_random_state_is_left_alone(self) -> None:
        before = np.random.get_state()[1].copy()
        run(random_script(6), DecodeSettings(sample=True, seed=1, max_length=6))
        np.testing.assert_array_equal(np.random.get_state()[1], before)

    def test_tokens_are_drawn_as_often_as_they_are_likely(self) -> None:
        probabilities = np.array([0.05, 0.0, 0.15, 0.3, 0.5])
        with np.errstate(divide="ignore"):
            row = np.log(probabilities).astype(np.float32)
        chosen = DecodeSettings(sample=True, seed=0, num_captions=4000, max_length=2)
        (found,) = run(lambda image, said: row, chosen)
        counts = np.bincount([item.ids[0] for item in found], minlength=5)
        np.testing.assert_allclose(counts / 4000, probabilities, atol=0.03)
        assert counts[1] == 0

    def test_several_captions_come_best_first(self) -> None:
        chosen = DecodeSettings(sample=True, seed=0, num_captions=8, max_length=9)
        (found,) = run(random_script(6), chosen)
        assert len(found) == 8
        scores = [item.score for item in found]
        assert scores == sorted(scores, reverse=True)


class TestDraw:
    @given(st.integers(0, 500), st.integers(1, 6))
    @settings(max_examples=50, deadline=None)
    def test_inverts_the_cumulative_distribution(self, seed: int, rows: int) -> None:
        rng = np.random.default_rng(seed)
        weights = rng.random((rows, 5)) * (rng.random((rows, 5)) < 0.6)
        weights[:, 2] += 0.1
        probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        chosen = draw(probabilities, rng.random(rows))
        assert chosen.shape == (rows,)
        assert (np.take_along_axis(probabilities, chosen[:, None], axis=1) > 0).all()

    @pytest.mark.parametrize("uniform", [0.0, np.nextafter(1.0, 0.0)])
    def test_the_ends_never_fall_on_impossible_tokens(self, uniform: float) -> None:
        for seed in range(200):
            weights = np.random.default_rng(seed).random(7).astype(np.float32)
            weights[[0, 1, 5, 6]] = 0
            probabilities = (weights / weights.sum())[None]
            (chosen,) = draw(probabilities, np.array([uniform]))
            assert chosen == (2 if uniform == 0.0 else 4)


def test_log_softmax_leaves_barred_tokens_barred() -> None:
    scores = np.array([[0.0, -np.inf, 0.0], [1000.0, 0.0, -1000.0]], np.float32)
    result = log_softmax(scores)
    np.testing.assert_allclose(result[0], [np.log(0.5), -np.inf, np.log(0.5)], rtol=1e-6)
    assert np.isfinite(result[1]).all() and result[1, 0] == 0


@pytest.mark.parametrize("chosen", [{}, {"beams": 3}, {"sample": True, "seed": 0}])
def test_scores_that_are_not_numbers_are_an_error(chosen: dict[str, Any]) -> None:
    def damaged(image: int, said: tuple[int, ...]) -> np.ndarray:
        return np.full(6, np.nan, np.float32)

    with pytest.raises(ModelError, match="not numbers"):
        run(damaged, DecodeSettings(max_length=8, **chosen))


@pytest.mark.parametrize(
    "chosen", [*VARIETY, replace(VARIETY[1], early_stopping="never")], ids=range(len(VARIETY) + 1)
)
def test_a_prefix_is_a_beginning_that_costs_nothing(chosen: DecodeSettings) -> None:
    """As if the model had started there, with as many tokens fewer."""
    script = random_script(6, spread=1.5)
    prefix = (4, 2, 5)
    chosen = replace(chosen, no_repeat_ngram_size=0, repetition_penalty=1.0)
    longer = replace(chosen, max_length=chosen.max_length + 3, min_length=chosen.min_length + 3)
    begun = run(script, longer, images=4, tokens=replace(TOKENS, prefix=prefix))
    plain = run(lambda image, said: script(image, (START, *prefix, *said[1:])), chosen, images=4)
    for found, expected in zip(begun, plain, strict=True):
        assert [(one.ids, one.log_probabilities) for one in found] == [
            (one.ids, one.log_probabilities) for one in expected
        ]
        assert [one.score for one in found] == [one.score for one in expected]
        assert all(one.prefix == prefix for one in found)


@pytest.mark.parametrize("beams", [1, 3])
def test_penalties_see_the_prefix(beams: int) -> None:
    """Without it, the model would say 3 first."""
    said_again = lambda image, said: np.array([0, 1, 2, 3], np.float32)  # noqa: E731
    tokens = replace(TOKENS, prefix=(3,))
    ways = (
        DecodeSettings(beams=beams, max_length=4, no_repeat_ngram_size=1),
        DecodeSettings(beams=beams, max_length=4, repetition_penalty=9.0),
    )
    for chosen in ways:
        (found,) = run(said_again, chosen, tokens=tokens)
        assert found[0].ids[0] == 2
        (found,) = run(said_again, chosen)
        assert found[0].ids[0] == 3


def test_the_prefix_is_fed_once_for_all_beams() -> None:
    fed = []

    class Counting(ScriptedModel):
        def logits(self, ids, parents):
            fed.append(ids.shape)
            return super().logits(ids, parents)

    chosen = DecodeSettings(beams=4, max_length=9)
    decode(Counting(random_script(6), 3), 3, chosen, replace(TOKENS, prefix=(2, 3)))
    assert fed[:4] == [(3, 1), (3, 1), (3, 1), (3, 4)]
