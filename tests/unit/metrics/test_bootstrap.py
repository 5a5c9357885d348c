"""Intervals and comparisons."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import capgen.metrics.bootstrap
from capgen.errors import MetricError
from capgen.metrics.bleu import NAMES
from capgen.metrics.bootstrap import compare, confidence_intervals
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.meteor_1_5.statistics import scores
from capgen.metrics.score import score_captions
from capgen.metrics.score_report import ScoreReport
from tests.unit.metrics.captions import PREDICTIONS, REFERENCES

METRICS = ("bleu", "rouge_l", "cider_d")


@pytest.fixture(scope="module")
def good() -> ScoreReport:
    return score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=METRICS)


@pytest.fixture(scope="module")
def poor() -> ScoreReport:
    shuffled = dict(reversed(PREDICTIONS["constant"].items()))
    return score_captions(shuffled, REFERENCES, metrics=METRICS)


def test_intervals(good: ScoreReport) -> None:
    intervals = confidence_intervals(good, seed=1)
    assert intervals.keys() == good.corpus.keys()
    for name, interval in intervals.items():
        assert interval.value == good.corpus[name]
        assert interval.low < interval.value < interval.high
    assert intervals == confidence_intervals(good, seed=1)
    assert intervals != confidence_intervals(good, seed=2)
    narrow = confidence_intervals(good, seed=1, level=0.5)["CIDEr-D"]
    assert intervals["CIDEr-D"].low < narrow.low < narrow.high < intervals["CIDEr-D"].high


def test_intervals_beside_a_plain_bootstrap(good: ScoreReport) -> None:
    generator = np.random.default_rng(5)
    images = list(REFERENCES)
    means, bleus = [], []
    for _ in range(400):
        drawn = generator.integers(len(images), size=len(images))
        means.append(good.per_image["CIDEr-D"][drawn].mean())
        chosen = [images[index] for index in drawn]
        again = score_captions(
            {str(n): PREDICTIONS["plausible"][name] for n, name in enumerate(chosen)},
            {str(n): REFERENCES[name] for n, name in enumerate(chosen)},
            metrics=["bleu"],
        )
        bleus.append(again.corpus["BLEU-2"])
    ours = confidence_intervals(good, seed=6, samples=4000)
    for name, plain in (("CIDEr-D", means), ("BLEU-2", bleus)):
        low, high = np.quantile(plain, [0.025, 0.975])
        width = high - low
        assert ours[name].low == pytest.approx(low, abs=0.12 * width)
        assert ours[name].high == pytest.approx(high, abs=0.12 * width)


def test_many_images_are_drawn_in_parts(good: ScoreReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capgen.metrics.bootstrap, "_DRAWS_AT_ONCE", 100)
    interval = confidence_intervals(good, seed=1, samples=50)["BLEU-4"]
    assert 0 < interval.low < interval.high < 1


def test_intervals_hold_the_true_mean_about_as_often_as_they_say(good: ScoreReport) -> None:
    generator = np.random.default_rng(7)
    held = 0
    for trial in range(200):
        scores = generator.exponential(size=80)
        made = dataclasses.replace(
            good,
            image_ids=tuple(map(str, range(80))),
            corpus={"X": float(scores.mean())},
            per_image={"X": scores},
            bleu_statistics=None,
        )
        interval = confidence_intervals(made, seed=trial, samples=300)["X"]
        held += interval.low <= 1 <= interval.high
    assert 175 <= held <= 199


def test_a_better_system(good: ScoreReport, poor: ScoreReport) -> None:
    found = compare(good, poor, seed=3)
    assert found.keys() == good.corpus.keys()
    cider = found["CIDEr-D"]
    assert cider.difference.value == good.corpus["CIDEr-D"] - poor.corpus["CIDEr-D"]
    assert cider.difference.low > 0
    assert cider.p_value < 0.05
    assert cider.wins + cider.ties + cider.losses == 12
    assert cider.wins == int((cider.images > 0).sum()) >= 10
    # Images are matched by name: the second report has them the other way round.
    assert good.image_ids[0] != poor.image_ids[0]
    row = poor.image_ids.index("goose")
    expected = good.per_image["CIDEr-D"][2] - poor.per_image["CIDEr-D"][row]
    assert cider.images[2] == expected
    json.dumps({name: difference.to_dict() for name, difference in found.items()})


def test_the_other_way_round(good: ScoreReport, poor: ScoreReport) -> None:
    there, back = compare(good, poor, seed=3), compare(poor, good, seed=3)
    for name in NAMES:
        assert back[name].difference.value == -there[name].difference.value
        assert (back[name].wins, back[name].losses) == (there[name].losses, there[name].wins)
        assert back[name].difference.high < 0


def test_a_system_beside_itself(good: ScoreReport) -> None:
    for difference in compare(good, good, seed=3).values():
        assert difference.p_value == 1
        assert (difference.wins, difference.ties, difference.losses) == (0, 12, 0)
        assert difference.difference.low == difference.difference.high == 0


def test_p_values_of_equal_systems_are_spread_evenly(good: ScoreReport) -> None:
    generator = np.random.default_rng(9)
    small = 0
    for trial in range(200):
        reports = [
            dataclasses.replace(
                good,
                image_ids=tuple(map(str, range(60))),
                corpus={"X": float(scores.mean())},
                per_image={"X": scores},
                bleu_statistics=None,
            )
            for scores in generator.normal(size=(2, 60))
        ]
        small += compare(*reports, seed=trial, samples=200)["X"].p_value < 0.1
    assert 8 <= small <= 38


def test_metrics_of_one_report_only_are_left_out(good: ScoreReport) -> None:
    bleu_only = score_captions(PREDICTIONS["constant"], REFERENCES, metrics=["bleu"])
    assert compare(good, bleu_only, seed=1).keys() == set(NAMES)
    assert compare(bleu_only, good, seed=1).keys() == set(NAMES)


def test_reports_that_cannot_be_compared(good: ScoreReport) -> None:
    fewer = {name: PREDICTIONS["plausible"][name] for name in list(REFERENCES)[1:]}
    other = score_captions(fewer, {name: REFERENCES[name] for name in fewer}, metrics=["bleu"])
    with pytest.raises(MetricError, match=r"only one of them has 1 image \('harbour'\)"):
        compare(good, other, seed=1)
    changed = {name: captions[:1] for name, captions in REFERENCES.items()}
    other = score_captions(PREDICTIONS["plausible"], changed, metrics=["bleu"])
    with pytest.raises(MetricError, match=r"the references digest is .* in one and"):
        compare(good, other, seed=1)


def test_reports_of_other_tokens_or_frequencies_cannot_be_compared(good: ScoreReport) -> None:
    # Their versions are the same.
    other = score_captions(
        PREDICTIONS["plausible"], REFERENCES, metrics=METRICS, tokenizer="unicode"
    )
    with pytest.raises(MetricError, match="the tokenizer is 'PTB"):
        compare(good, other, seed=1)
    reports = [
        score_captions(
            PREDICTIONS["plausible"],
            REFERENCES,
            metrics=["cider_d"],
            document_frequencies=DocumentFrequencies(9, {"a": count}, "a table"),
        )
        for count in (3, 4)
    ]
    with pytest.raises(MetricError, match="the frequencies digest is"):
        compare(*reports, seed=1)


def test_meteor_1_5_is_resampled_from_its_counts(good: ScoreReport) -> None:
    chance = np.random.default_rng(3)
    counts = np.zeros((12, 23), np.int64)
    counts[:, [0, 1, 21, 22]] = [9, 8, 5, 5]
    counts[:, [4, 5]] = chance.integers(1, 6, size=(12, 1))
    counts[:, 20] = 2
    whole = float(scores(counts.sum(axis=0)))
    with_meteor = dataclasses.replace(
        good,
        corpus={**good.corpus, "METEOR-1.5": whole},
        per_image={**good.per_image, "METEOR-1.5": scores(counts)},
        meteor_statistics=counts,
    )
    interval = confidence_intervals(with_meteor, seed=1)["METEOR-1.5"]
    assert interval.low < whole < interval.high
    assert interval.value == whole
    worse = dataclasses.replace(with_meteor, meteor_statistics=counts // [*[1] * 4, *[2] * 19])
    assert compare(with_meteor, worse, seed=1)["METEOR-1.5"].difference.low > 0


def test_a_report_without_the_counts_of_meteor_1_5(good: ScoreReport) -> None:
    without = dataclasses.replace(
        good,
        corpus={**good.corpus, "METEOR-1.5": 0.3},
        per_image={**good.per_image, "METEOR-1.5": np.full(12, 0.3)},
    )
    assert "METEOR-1.5" not in confidence_intervals(without, seed=1)
    assert "METEOR-1.5" not in compare(without, without, seed=1)


def test_neither_is_better_where_no_ngram_matches() -> None:
    """The official scorer's constants leave almost zero, and more of it for short captions."""
    references = {str(n): ["a dog runs over the wet grass"] for n in range(8)}
    short = dict.fromkeys(references, "a dog")
    long = dict.fromkeys(references, "a dog with two cats near a house")
    first, second = (score_captions(said, references, metrics=["bleu"]) for said in (short, long))
    assert first.corpus["BLEU-4"] != second.corpus["BLEU-4"]
    found = compare(first, second, seed=0)
    for name in ("BLEU-3", "BLEU-4"):
        item = found[name]
        assert (item.p_value, item.wins, item.ties, item.losses) == (1, 0, 8, 0), name
    # A single match is one.
    long["3"] = "she saw a dog runs over"
    found = compare(first, score_captions(long, references, metrics=["bleu"]), seed=0)
    assert (found["BLEU-4"].ties, found["BLEU-4"].losses) == (7, 1)
    assert found["BLEU-2"].ties == 0  # "a dog" is in both


def test_images_are_compared_by_name_in_whatever_order(good: ScoreReport) -> None:
    turned = dict(reversed(PREDICTIONS["plausible"].items()))
    again = score_captions(turned, REFERENCES, metrics=METRICS)
    assert again.image_ids != good.image_ids
    for name, item in compare(good, again, seed=0).items():
        assert (item.wins, item.ties, item.losses) == (0, len(REFERENCES), 0), name
        assert item.p_value == 1
