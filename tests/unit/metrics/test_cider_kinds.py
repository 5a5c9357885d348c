"""CIDEr, CIDEr-R and SPIDEr against their formulas, computed word by word here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import capgen.metrics.official as official
from capgen.config.evaluation import JavaLimits
from capgen.errors import MetricError
from capgen.metrics.cider import DocumentFrequencies, cider, cider_d, cider_d_pairs, cider_r
from capgen.metrics.corpus import Corpus, Floats
from capgen.metrics.ptb.tokenizer import tokenize
from capgen.metrics.score import score_captions
from capgen.metrics.tokenizers import tokenizer
from tests.unit.metrics.captions import PREDICTIONS, REFERENCES

Ngrams = Counter[tuple[str, ...]]
Penalty = Callable[[list[str], list[str]], float]


def ngrams(words: Sequence[str], size: int) -> Ngrams:
    return Counter(tuple(words[n : n + size]) for n in range(len(words) - size + 1))


def plainly(predictions: dict[str, str], clip: bool, penalty: Penalty) -> list[float]:
    """Equations 1 to 3 of Vedantam et al., with clipping and a penalty for a pair of captions."""
    references = {name: [tokenize(c).split() for c in REFERENCES[name]] for name in predictions}
    scores = []
    for name, prediction in predictions.items():
        words = tokenize(prediction).split()
        total = 0.0
        for size in range(1, 5):
            frequency = Counter[tuple[str, ...]]()
            for captions in references.values():
                frequency.update({g for caption in captions for g in ngrams(caption, size)})

            def weights(
                words: Sequence[str], size: int = size, frequency: Ngrams = frequency
            ) -> dict[tuple[str, ...], float]:
                return {
                    g: n * (math.log(len(references)) - math.log(max(1, frequency[g])))
                    for g, n in ngrams(words, size).items()
                }

            ours = weights(words)
            for caption in references[name]:
                theirs = weights(caption)
                shared = ours.keys() & theirs.keys()
                dot = sum((min if clip else first)(ours[g], theirs[g]) * theirs[g] for g in shared)
                norm = math.hypot(*ours.values()) * math.hypot(*theirs.values())
                if norm:
                    total += dot / norm * penalty(words, caption)
        scores.append(total / 4 / len(references[name]))
    return scores


def first(one: float, other: float) -> float:
    return one


def robust(ours: list[str], theirs: list[str]) -> float:
    """The two penalties of Santos et al., weighted 0.8 and 0.2."""
    said, wanted = (Counter(w for w in words if w.isalnum()) for words in (ours, theirs))
    parts = [1 / (1 + abs(n - (wanted[word] or 1))) for word, n in said.items()]
    repetition = math.prod(parts) ** (1 / len(parts))
    length = math.exp(-((len(ours) - len(theirs)) ** 2) / len(theirs) ** 2)
    return float(repetition**0.8 * length**0.2)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_cider_is_equation_2_of_the_paper(name: str) -> None:
    scores = cider(Corpus(PREDICTIONS[name], REFERENCES))
    # Times 10, as in the program of its authors and in pycocoevalcap's CIDEr-D.
    expected = 10 * np.array(plainly(PREDICTIONS[name], False, lambda ours, theirs: 1.0))
    np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_a_caption_that_is_the_reference_has_the_highest_score() -> None:
    references = {"a": ["a red bird sings"], "b": ["two boats lie here"]}
    corpus = Corpus({"a": "a red bird sings", "b": "two boats lie here"}, references)
    for score in (cider, cider_d, cider_r):
        assert score(corpus).tolist() == pytest.approx([10, 10])


@pytest.mark.parametrize("name", ["plausible", "constant"])
def test_cider_r_is_the_formula_of_its_authors(name: str) -> None:
    scores = cider_r(Corpus(PREDICTIONS[name], REFERENCES))
    expected = 10 * np.array(plainly(PREDICTIONS[name], True, robust))
    np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_cider_r_punishes_repetition_and_not_length_alone() -> None:
    references = {"a": ["a red bird sings"], "b": ["two boats"]}
    plain = Corpus({"a": "a red bird sings", "b": "x"}, references)
    again = Corpus({"a": "a red bird bird sings", "b": "x"}, references)
    assert cider_r(plain)[0] == pytest.approx(10)
    # 3 of 4 words are said as often, one once too often: (1/2) ** (1/4 * 0.8).
    clipped = cider_d(again)[0] / math.exp(-1 / 72)
    penalty = 0.5 ** (0.8 / 4) * math.exp(-0.2 / 16)
    assert cider_r(again)[0] == pytest.approx(clipped * penalty)
    assert cider_r(Corpus({"a": "", "b": "..."}, references)).tolist() == [0, 0]


def test_pairs_are_scores_with_one_reference() -> None:
    table = DocumentFrequencies.from_references(REFERENCES.values())
    corpus = Corpus(PREDICTIONS["plausible"], REFERENCES)
    pairs = corpus.by_image(cider_d_pairs(corpus, table).tolist())
    means = [sum(values) / len(values) for values in pairs]
    np.testing.assert_allclose(cider_d(corpus), means, atol=1e-12)


def test_spider_is_the_mean_of_spice_and_cider_d(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def spice(corpus: Corpus, limits: JavaLimits) -> tuple[float, Floats]:
        calls.append(len(corpus))
        values = np.linspace(0.1, 0.4, len(corpus))
        return float(values.mean()), values

    monkeypatch.setattr(official, "spice", spice)
    monkeypatch.setattr(official, "check_present", lambda name: None)
    metrics = ("cider_d", "spice", "spider")
    report = score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=metrics)
    assert calls == [len(REFERENCES)]  # SPICE takes minutes: once is enough
    mean = (report.corpus["SPICE"] + report.corpus["CIDEr-D"]) / 2
    assert report.corpus["SPIDEr"] == pytest.approx(mean)
    halves = (report.per_image["SPICE"] + report.per_image["CIDEr-D"]) / 2
    np.testing.assert_allclose(report.per_image["SPIDEr"], halves)
    alone = score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=["spider"])
    assert list(alone.corpus) == ["SPIDEr"]
    assert alone.corpus["SPIDEr"] == pytest.approx(mean)


def test_spider_is_left_out_where_spice_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def spice(corpus: Corpus, limits: JavaLimits) -> tuple[float, Floats]:
        calls.append(len(corpus))
        raise MetricError("The official SPICE was killed", hint="Leave it out.")

    monkeypatch.setattr(official, "spice", spice)
    metrics = ("spider", "cider_d", "spice")
    report = score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=metrics)
    assert calls == [len(REFERENCES)]
    assert list(report.corpus) == ["CIDEr-D"]
    reason = "The official SPICE was killed. Leave it out."
    assert report.left_out == {"spice": reason, "spider": reason}
    assert set(report.failed) == {"spice", "spider"}
    assert f"spice and spider are left out: {reason}" in report.notes
    with pytest.raises(MetricError, match=r"^The official SPICE was killed$"):
        score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=["spice", "spider"])


def test_cider_r_counts_words_of_other_scripts() -> None:
    references = {"a": ["लाल गाड़ी सड़क पर है"], "b": ["दो नाव"]}
    captions = {"a": "लाल गाड़ी सड़क पर है", "b": "कुछ"}
    whole = score_captions(captions, references, metrics=["cider_r"])
    assert whole.per_image["CIDEr-R"][0] == pytest.approx(10)
    again = {"a": "लाल गाड़ी गाड़ी सड़क पर है", "b": "कुछ"}
    corpus = Corpus(again, references, tokenizer("unicode"))
    clipped = cider_d(corpus)[0] / math.exp(-1 / 72)
    # One of five words is said once too often.
    penalty = 0.5 ** (0.8 / 5) * math.exp(-0.2 / 25)
    assert cider_r(corpus)[0] == pytest.approx(clipped * penalty)
