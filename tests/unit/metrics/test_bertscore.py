"""BERTScore from vectors, and the choice of models."""

from __future__ import annotations

from pathlib import Path

import bert_score.utils as published
import numpy as np
import pytest

from capgen.errors import MetricError, UsageError
from capgen.metrics.bertscore import _MODELS, VERSION, BertScores, Tokens, bert_model, token_match
from capgen.metrics.evidence import Evidence
from capgen.metrics.score import score_captions

CAPTIONS = {"a": "one", "b": "two"}
REFERENCES = {"a": ["three", "four"], "b": ["one"]}
MATCHES = BertScores(
    model="made",
    pairs={
        ("one", "three"): np.array([0.9, 0.2, 0.33]),
        ("one", "four"): np.array([0.5, 0.4, 0.44]),
        ("two", "one"): np.array([0.1, 0.3, 0.15]),
    },
)


def tokens(*rows: tuple[float, float], counts: str) -> Tokens:
    return Tokens(np.array(rows, np.float32), np.array([mark == "1" for mark in counts]))


def test_a_match_by_hand() -> None:
    caption = tokens((9, 0), (3, 4), (0, 2), counts="010")
    reference = tokens((1, 0), (0, 5), (4, 3), (0, -1), counts="0110")
    # Cosines of the caption's one word: 0.6, 0.8, 0.96, -0.8.
    precision, recall, f1 = token_match(caption, reference)
    assert precision == pytest.approx(0.96)
    # Of the reference's words: 1 with the caption's end mark, and 0.96.
    assert recall == pytest.approx((1 + 0.96) / 2)
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_text_without_words_scores_nothing() -> None:
    text, empty = tokens((1, 0), (1, 1), (0, 1), counts="010"), tokens((1, 0), (1, 1), counts="00")
    assert token_match(text, empty) == token_match(empty, text) == (0, 0, 0)


def test_each_of_the_three_is_the_best_over_the_references() -> None:
    report = score_captions(
        CAPTIONS, REFERENCES, metrics=["bertscore"], evidence=Evidence(matches=MATCHES)
    )
    assert report.per_image["BERTScore-P"].tolist() == [0.9, 0.1]
    assert report.per_image["BERTScore-R"].tolist() == [0.4, 0.3]
    assert report.per_image["BERTScore-F1"].tolist() == [0.44, 0.15]
    assert report.corpus["BERTScore-F1"] == pytest.approx((0.44 + 0.15) / 2)
    assert report.stamp.evidence == {"bertscore": "made"}
    assert "bert-score 0.3.13" in report.stamp.definitions["bertscore"]


def test_without_matches() -> None:
    with pytest.raises(MetricError, match="makes of the captions"):
        score_captions(CAPTIONS, REFERENCES, metrics=["bertscore"])


@pytest.mark.parametrize("language", ["en", "en-GB", "zh", "tr", "de", "ja", "und"])
def test_models_are_those_of_the_package(language: str) -> None:
    model = bert_model(language)
    assert model.title == published.lang2model[language.partition("-")[0]]
    assert model.layer == published.model2layers[model.title]
    assert model.name.endswith(model.title) and "/" in model.name


@pytest.mark.parametrize("language", ["", "eng", "eng-US", "EN"])
def test_english_by_any_name(language: str) -> None:
    assert bert_model(language).title == "roberta-large"


def test_layers_are_those_of_the_package() -> None:
    assert published.__version__ == VERSION
    for title, (_, layer) in _MODELS.items():
        assert published.model2layers[title] == layer
        assert bert_model("en", title).layer == layer


def test_the_code_is_that_of_the_package() -> None:
    theirs = published.get_hash("roberta-large", 17, False, False, False, False)
    assert theirs.startswith(f"{bert_model('').code}_version={VERSION}(hug_trans=")


@pytest.mark.parametrize(
    ("name", "place", "title"),
    [
        ("roberta-base", "FacebookAI/roberta-base", "roberta-base"),
        ("roberta-base@abc", "FacebookAI/roberta-base@abc", "roberta-base"),
        ("FacebookAI/roberta-base", "FacebookAI/roberta-base", "roberta-base"),
        ("/models/roberta-base/", "/models/roberta-base/", "roberta-base"),
    ],
)
def test_names_of_one_model(name: str, place: str, title: str) -> None:
    assert bert_model("de", name) == (place, 10, title)
    assert bert_model("de", name, 3).layer == 3


def test_a_model_that_the_package_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not known which layer of somebody/bert") as caught:
        bert_model("en", "somebody/bert")
    assert "--bert-layer" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        bert_model("en", "roberta-lange")
    assert "roberta-large" in caught.value.hint
    assert bert_model("en", "somebody/bert", 0) == ("somebody/bert", 0, "somebody/bert")
