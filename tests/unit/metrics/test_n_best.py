"""Diversity of several captions per image, against formulas computed one by one."""

from __future__ import annotations

import numpy as np
import pytest

from capgen.errors import MetricError
from capgen.metrics.cider import DocumentFrequencies, cider_d
from capgen.metrics.corpus import Corpus
from capgen.metrics.evidence import Evidence
from capgen.metrics.n_best import distinct, mbleu_4, self_cider
from capgen.metrics.ptb.tokenizer import tokenize
from capgen.metrics.score import score_captions
from tests.unit.metrics.captions import PREDICTIONS, REFERENCES

FREQUENCIES = DocumentFrequencies.from_references(REFERENCES.values())
GROUPS = [list(map(tokenize, captions)) for captions in REFERENCES.values()]


def test_self_cider_is_the_authors_formula() -> None:
    scores = self_cider(GROUPS, FREQUENCIES)
    for group, score in zip(GROUPS, scores, strict=True):
        size = len(group)
        kernel = np.zeros((size, size))
        for row in range(size):
            for column in range(row, size):
                pair = Corpus({"x": group[row]}, {"x": [group[column]]})
                kernel[row, column] = kernel[column, row] = cider_d(pair, FREQUENCIES)[0]
        roots = np.sqrt(np.linalg.svd(kernel)[1])
        if size == 1:
            assert score == 0
        else:
            assert score == pytest.approx(-np.log10(max(roots) / roots.sum()) / np.log10(size))


def test_self_cider_goes_from_the_same_to_nothing_in_common() -> None:
    same, apart = (
        ["two boats rest"] * 3,
        ["two fishing boats rest", "robot hands paper cup", "girl plays the violin"],
    )
    unsaid = ["", "", "..."]
    scores = self_cider([same, apart, unsaid, ["alone"]], FREQUENCIES)
    assert scores == pytest.approx([0, 1, 0, 0], abs=1e-6)


def test_mbleu_is_the_bleu_of_each_with_the_others() -> None:
    scores = mbleu_4(GROUPS)
    for group, score in zip(GROUPS, scores, strict=True):
        singles = [
            score_captions(
                {"x": caption}, {"x": group[:place] + group[place + 1 :]}, metrics=["bleu"]
            )
            for place, caption in enumerate(group)
            if len(group) > 1
        ]
        expected = np.mean([each.corpus["BLEU-4"] for each in singles]) if singles else 1
        assert score == pytest.approx(expected)
    assert mbleu_4([["a dog runs on grass"] * 2]) == pytest.approx([1])


def test_distinct_by_hand() -> None:
    captions = ["a dog runs", "a dog sits", ""]
    assert distinct(captions, 1) == 4 / 6
    assert distinct(captions, 2) == 3 / 4
    assert distinct([""], 2) == 0


def test_diversity_of_a_report() -> None:
    predictions = PREDICTIONS["plausible"]
    others = {name: references for name, references in REFERENCES.items() if name != "lamp"}
    report = score_captions(
        predictions, REFERENCES, metrics=["diversity"], evidence=Evidence(alternatives=others)
    )
    names = ["self-CIDEr", "mBLEU-4", "distinct-1 (n-best)", "distinct-2 (n-best)"]
    assert list(report.corpus) == names
    row = report.image_ids.index("lamp")
    assert [report.per_image[name][row] for name in names[:2]] == [0, 1]
    assert any("1 of 12 images have only one caption" in note for note in report.notes)
    group = [tokenize(text) for text in (predictions["goose"], *REFERENCES["goose"])]
    assert report.per_image[names[0]][2] == pytest.approx(self_cider([group], FREQUENCIES)[0])
    assert report.per_image[names[2]][2] == pytest.approx(distinct(group, 1))


def test_diversity_needs_several_captions() -> None:
    with pytest.raises(MetricError, match="several captions per image") as caught:
        score_captions(PREDICTIONS["plausible"], REFERENCES, metrics=["diversity"])
    assert "--num-captions" in caught.value.hint
