"""Which language captions are judged in."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.config import EvalConfig
from capgen.errors import UsageError
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.judged_language import judged_language
from capgen.records import Example
from tests.unit.evaluation.sets import GOOD, make_set


def of(*references: str, language: str = "") -> EvaluationSet:
    pool = [
        Example(image_id=f"{n}", image=Path(f"{n}.jpg"), references=(text,), split="test")
        for n, text in enumerate(references)
    ]
    return EvaluationSet(name="x", split="test", pool=tuple(pool), language=language)


@pytest.mark.parametrize(
    ("data", "given", "expected"),
    [
        (of("a dog runs on the grass"), "", ("en", "guessed from the references")),
        (of("a dog runs on the grass"), "de", ("de", "given")),
        (of("a dog runs", language="fr"), "", ("fr", "of the data set")),
        (of("a dog runs", language="fr"), "pt-BR", ("pt-BR", "given")),
        (of("两只狗", "三只狗"), "", ("zh", "guessed from the references")),
        (of("một con chó chạy trên cỏ"), "", ("und", "guessed from the references")),
        (of("dogs"), "", ("", "")),
    ],
)
def test_the_language(data: EvaluationSet, given: str, expected: tuple[str, str]) -> None:
    assert judged_language(data, EvalConfig(language=given)) == expected


def test_a_language_that_is_none() -> None:
    with pytest.raises(UsageError, match="--language is 'the German one'; it must be a BCP 47"):
        evaluate(GOOD, make_set(), config=EvalConfig(language="the German one"))


def test_the_name_of_a_language_is_no_code() -> None:
    for name in ("english", "german"):
        with pytest.raises(UsageError, match=f"'{name}'; it must begin with a code") as caught:
            evaluate(GOOD, make_set(), config=EvalConfig(language=name))
        assert "en, de" in caught.value.hint
    # A data set may have it nevertheless.
    for name in ("english", "eng"):
        named = evaluate(GOOD, make_set(language=name), config=EvalConfig(metrics="bleu,meteor"))
        assert named.scores.left_out == {}


def test_the_language_is_in_the_report() -> None:
    stamp = evaluate(GOOD, make_set(), config=EvalConfig(resamples=100)).to_dict()["stamp"]
    assert (stamp["language"], stamp["language_source"]) == ("en", "guessed from the references")


def test_one_caption_of_many_is_scored_as_all_are() -> None:
    """The language and the tokens are those of the whole set, whatever could be captioned."""
    data = of("犬が走る", "猫が寝る", "dog")
    only = evaluate({"2": "dog", "0": "犬", "1": "猫"}, data, config=EvalConfig(metrics="bleu"))
    assert only.scores.stamp.tokenizer_key == "characters"
