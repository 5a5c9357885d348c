"""Captions that a metric cannot read are said to be so."""

from __future__ import annotations

import pytest

from capgen.metrics.score import score_captions
from capgen.metrics.scripts import ascii_share, unspaced_share


@pytest.mark.parametrize(
    ("texts", "unspaced"),
    [
        (["a dog"], 0.0),
        (["一只狗"], 1.0),
        (["犬 dog"], 0.25),
        (["สุนัข"], 1.0),
        (["कुत्ता"], 0.0),
        ([], 0.0),
    ],
)
def test_the_share_of_scripts_without_spaces(texts: list[str], unspaced: float) -> None:
    assert unspaced_share(texts) == unspaced


def test_the_share_of_plain_letters() -> None:
    assert ascii_share(["Aé, 12!"]) == 0.5
    assert ascii_share(["12"]) == 1.0


def notes(caption: str, **options: object) -> str:
    return " ".join(score_captions({"1": caption}, {"1": [caption] * 2}, **options).notes)


def test_english_needs_no_note() -> None:
    assert "letters" not in notes("a dog runs in front of the building")
    assert "METEOR" not in notes("a dog", language="en-GB")


def test_chinese_has_no_words_between_spaces() -> None:
    found = notes("一只狗在草地上奔跑")
    assert (
        "script without spaces between words: BLEU, ROUGE-L and CIDEr-D count characters" in found
    )
    assert "drops 100% of the references' letters" in found
    assert "METEOR's stems and synonyms are English" in found


def test_rouge_score_cuts_german_words() -> None:
    assert "reads only the letters a to z, and drops" in notes("Ein Mädchen läuft über die Straße")
    assert "letters a to z" not in notes("Ein Mädchen läuft", metrics=("bleu", "meteor"))


def test_meteor_does_not_know_a_language_with_many_other_letters() -> None:
    assert "METEOR's stems" in notes("Ein Mädchen läuft über die Straße")
    assert "METEOR's stems" in notes("Một con chó chạy trên cỏ")


def test_meteor_is_english() -> None:
    assert "meteor is left out: METEOR's stems" in notes("Ein Hund rennt", language="de")
    assert "METEOR's stems" not in notes("Ein Hund rennt", language="de", metrics=("cider_d",))


def test_references_without_words_are_counted() -> None:
    found = score_captions({"1": "a dog"}, {"1": ["a dog", ". ,"]}).notes
    assert "1 of 2 references have no words." in found
    assert "references have no words" not in notes("a dog")
