"""Tokens; the expected ones are what the official program printed for these strings."""

from __future__ import annotations

import pytest

from capgen.metrics.meteor_1_5.normalize import Normalizer
from tests.unit.metrics.meteor_1_5.lists import LISTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a plain caption with 2 words", "a plain caption with 2 words"),
        ("don't O'Neil rock'n'roll 'tis dogs'", "don 't o 'neil rock 'n'roll ' tis dogs '"),
        ("12's 5'11\" '90s 1'a", "12 's 5 ' 11 \" ' 90s 1'a"),
        ("''a'' ` “b” ‘c’", '" a " \' " b " \' c \''),
        ("a,b 1,2 1,a ,, 1,000,000", "a , b 1,2 1 , a , , 1,000,000"),
        ("U.S. u.s e.g. a.b.c. 1.5 1.", "us u.s eg abc 1.5 1 ."),
        ("Mr. X vs. y etc.", "mr. x vs. y etc ."),
        ("No. 5 Art. X no. 5", "no. 5 art . x no . 5"),
        ("the end. Really... . ..", "the end . really ... . .."),
        ("a-b a--b a---b -5 a- a–b", "a b a b a--b -5 a- a - b"),
        ("'--' ,--,-", "' -' , - , -"),
        ("café x² 漢字 Σας", "café x ² 漢 字 σ α ς"),
        ("a\u00a0b pp.\u00a0q \u2003", "a b pp . q"),
        ("\x07 a \x01b\x1b", "a \x01 b"),
        ("3p.m. .a. ...a a..", "3pm a ... a a .."),
        ("", ""),
        (" \u00a0 ", ""),
    ],
)
def test_tokens(text: str, expected: str) -> None:
    assert Normalizer(LISTS).tokens(text) == expected.split()


def test_a_full_stop_before_a_small_letter_stays() -> None:
    assert Normalizer(LISTS).tokens("A dog. runs. Off.") == "a dog. runs . off .".split()  # noqa: SIM905
