"""Every strategy against hand-made histories of scores."""

from __future__ import annotations

import json
import math

import pytest

from capgen.config import train_config
from capgen.errors import UsageError
from capgen.training.validation.best_model import STRATEGIES, Selection, composite

BASE = {
    "METEOR": 0.300,
    "BLEU-1": 0.600,
    "BLEU-2": 0.400,
    "BLEU-3": 0.300,
    "BLEU-4": 0.200,
    "ROUGE-L": 0.450,
    "CIDEr-D": 0.500,
}


def _scores(**changes):
    """BASE times a factor for each metric named (`BLEU_4=1.02`)."""
    factors = {name.replace("_", "-").replace("CIDEr", "CIDEr-D"): f for name, f in changes.items()}
    assert set(factors) <= set(BASE)
    return {name: value * factors.get(name, 1.0) for name, value in BASE.items()}


def _history(strategy, *history):
    """Return which of the evaluations were saved."""
    selection = Selection(strategy)
    return [selection.take_scores(scores) for scores in history]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_first_evaluation_is_saved_and_the_same_again_is_not(strategy):
    assert _history(strategy, BASE, BASE) == [True, False]
    nothing = dict.fromkeys(BASE, 0.0)
    assert _history(strategy, nothing, nothing, BASE) == [True, False, True]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_better_in_everything_is_saved_and_worse_in_everything_is_not(strategy):
    better, worse = ({name: value * f for name, value in BASE.items()} for f in (1.05, 0.9))
    assert _history(strategy, BASE, worse, better, BASE) == [True, False, True, False]


@pytest.mark.parametrize(
    ("changes", "saved"),
    [
        ({"METEOR": 1.001, "BLEU_4": 0.5}, True),
        ({"METEOR": 0.99, "BLEU_4": 1.02}, True),
        ({"METEOR": 0.99, "ROUGE_L": 1.03}, True),
        ({"METEOR": 0.99, "ROUGE_L": 1.015}, False),
        ({"METEOR": 0.99, "BLEU_4": 1.005}, False),
        ({"METEOR": 0.99, "CIDEr": 1.5, "BLEU_1": 1.5}, False),
        ({"METEOR": 0.97, "BLEU_4": 1.5, "ROUGE_L": 1.5}, False),
        ({"METEOR": 0.98, "BLEU_4": 1.5}, False),  # 2 % is not less than 2 %
        ({"METEOR": 0.99, "BLEU_4": 1.01}, False),  # 1 % is not more than 1 %
        ({"BLEU_4": 1.02}, True),  # METEOR as before
    ],
)
def test_meteor_centric(changes, saved):
    assert _history("meteor-centric", BASE, _scores(**changes)) == [True, saved]


def test_meteor_cannot_ratchet_down():
    """Three falls of 1.5 % each, with BLEU-4 rising: only the first is less than 2 % in all."""
    falls = [_scores(METEOR=0.985**n, BLEU_4=1.05**n) for n in range(4)]
    assert _history("meteor-centric", *falls) == [True, True, False, False]


def test_falls_are_measured_from_the_highest_meteor_and_gains_from_the_saved_model():
    selection = Selection("meteor-centric")
    assert selection.take_scores(_scores())
    assert selection.take_scores(_scores(METEOR=0.985, BLEU_4=1.05))
    # Better than the saved model's METEOR, but neither the highest nor a gain elsewhere.
    assert not selection.take_scores(_scores(METEOR=0.99, BLEU_4=1.05))
    # The gain of BLEU-4 is measured against the saved model.
    assert not selection.take_scores(_scores(METEOR=0.99, BLEU_4=1.055))
    assert selection.take_scores(_scores(METEOR=0.99, BLEU_4=1.07))


@pytest.mark.parametrize(
    ("changes", "saved"),
    [
        ({"METEOR": 1.001, "BLEU_4": 0.5}, True),
        ({"METEOR": 0.995, "BLEU_4": 1.03, "ROUGE_L": 1.03}, True),
        ({"METEOR": 0.995, "CIDEr": 1.03, "BLEU_2": 1.03}, True),
        ({"METEOR": 0.995, "BLEU_4": 1.03}, False),
        ({"METEOR": 0.995, "BLEU_4": 1.03, "ROUGE_L": 1.02}, False),
        ({"METEOR": 0.985, "BLEU_4": 1.5, "ROUGE_L": 1.5}, False),
    ],
)
def test_multi_criteria(changes, saved):
    assert _history("multi-criteria", BASE, _scores(**changes)) == [True, saved]


def test_multi_criteria_cannot_ratchet_down():
    falls = [_scores(METEOR=0.994**n, BLEU_4=1.05**n, ROUGE_L=1.05**n) for n in range(4)]
    assert _history("multi-criteria", *falls) == [True, True, False, False]


def test_pareto():
    assert _history("pareto", BASE, _scores(CIDEr=1.001)) == [True, True]
    assert _history("pareto", BASE, _scores(METEOR=1.5, BLEU_1=0.999)) == [True, False]


def test_weighted_composite():
    assert composite(dict.fromkeys(BASE, 1.0)) == pytest.approx(1.0)
    assert composite(BASE) == pytest.approx(0.4 * 0.3 + 0.2 * 0.2 + 0.2 * 0.45 + 0.06 + 0.04)
    # .4 × .003 lost, .2 × .01 won; CIDEr-D and BLEU-3 do not count.
    assert _history("weighted-composite", BASE, _scores(METEOR=0.99, BLEU_4=1.05)) == [True, True]
    assert _history("weighted-composite", BASE, _scores(CIDEr=2.0)) == [True, False]


@pytest.mark.parametrize(
    ("strategy", "metric"),
    [("meteor", "METEOR"), ("bleu", "BLEU_4"), ("rouge", "ROUGE_L"), ("cider", "CIDEr")],
)
def test_single_metrics(strategy, metric):
    others = {name: 0.5 for name in ("METEOR", "BLEU_4", "ROUGE_L", "CIDEr") if name != metric}
    better, worse = _scores(**others, **{metric: 1.0001}), _scores(**{metric: 0.9999})
    assert _history(strategy, BASE, worse, better) == [True, False, True]


def test_losses_and_patience():
    selection = Selection("meteor")
    assert [selection.take_loss(loss) for loss in (3.0, 2.0, 2.0, 2.5)] == [
        True,
        True,
        False,
        False,
    ]
    assert (selection.best_loss, selection.stale) == (2.0, 2)
    selection.take_scores(BASE)
    assert selection.stale == 0
    selection.take_scores(BASE)
    assert selection.stale == 1
    assert selection.best_eval == ("METEOR", 0.3)


def test_the_state_goes_through_json_unchanged():
    selection = Selection("pareto")
    assert Selection.from_dict(json.loads(json.dumps(selection.to_dict()))) == selection
    selection.take_loss(1 / 3)
    selection.take_scores(BASE)
    selection.take_scores(_scores(METEOR=0.9))
    assert Selection.from_dict(json.loads(json.dumps(selection.to_dict()))) == selection
    assert math.isfinite(selection.highest_meteor)


def test_an_unknown_strategy_names_the_known_ones():
    with pytest.raises(UsageError, match=r"--eval-strategy is 'metor'.* one of .*\bmeteor\b"):
        train_config("mini", eval_strategy="metor")
