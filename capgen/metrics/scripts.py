"""The scripts that captions are written in, for what only reads some of them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

# How Unicode's names of their letters begin.
_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


def unspaced_share(texts: Iterable[str]) -> float:
    """Return the share of letters in scripts without spaces between words: Chinese, Thai, …"""
    scripts = letter_scripts(texts)
    return sum(scripts[script] for script in _WITHOUT_SPACES) / max(scripts.total(), 1)


def letter_scripts(texts: Iterable[str]) -> Counter[str]:
    """Return how many letters are of which script, by the first word of Unicode's names of them."""
    scripts: Counter[str] = Counter()
    for letter, count in _letters(texts).items():
        scripts[unicodedata.name(letter, "").partition(" ")[0]] += count
    return scripts


def ascii_share(texts: Iterable[str]) -> float:
    """Return the share of letters from a to z, in either case."""
    letters = _letters(texts)
    plain = sum(count for letter, count in letters.items() if letter.isascii())
    return plain / letters.total() if letters else 1.0


def _letters(texts: Iterable[str]) -> Counter[str]:
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    return Counter({letter: n for letter, n in characters.items() if letter.isalpha()})
