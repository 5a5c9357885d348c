"""Tokens of a sentence as METEOR 1.5 makes them with its option `-norm`.

It follows the tokenizer of the Moses toolkit, with differences: dashes, quotes of Unicode,
full stops of acronyms. Letters are those of Latin-1, Latin Extended-A, Cyrillic and phonetic
extensions; any other character outside ASCII is a token of its own.
"""

from __future__ import annotations

import re

from capgen.metrics.meteor_1_5.resources import WordLists

_LETTER = (
    "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e\u0400-\u0527"
    "\u1d00-\u1d7f\ua640-\ua66e\ua67e-\ua697"
)
# Before words are split at spaces, in this order.
_RULES = [
    (re.compile(pattern), new)
    for pattern, new in (
        ("[\u201c\u201d]", '"'),
        ("[`\u2018\u2019]", "'"),
        ("''", '"'),
        ("\u2013", " - "),
        (rf"([^{_LETTER}0-9 \t\n\v\f\r.'`,\-])", r" \1 "),
        (r"(\.\.+)", r" \1 "),
        ("([^0-9]),([^0-9])", r"\1 , \2"),
        ("([0-9]),([^0-9])", r"\1 , \2"),
        ("([^0-9]),([0-9])", r"\1 , \2"),
        ("--", "-"),
        (f"([^{_LETTER}])'([^{_LETTER}])", r"\1 ' \2"),
        (f"([^{_LETTER}0-9])'([{_LETTER}])", r"\1 ' \2"),
        (f"([{_LETTER}])'([^{_LETTER}])", r"\1 ' \2"),
        (f"([{_LETTER}])'([{_LETTER}])", r"\1 '\2"),
        ("([0-9])'s", r"\1 's"),
        (f"([{_LETTER}0-9.])-([{_LETTER}0-9])", r"\1 \2"),
    )
]
_SPACES = re.compile("[ \t\n\r\f]+")
# Spaces of Unicode stand alone until the full stops are done, and then vanish.
_ALL_SPACES = re.compile("[ \u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_CONTROLS = "".join(map(chr, range(33)))
_HAS_LETTER = re.compile(f"[{_LETTER}]")
_PLAIN = re.compile("[a-z0-9 ]*")


class Normalizer:
    """Makes tokens of sentences."""

    def __init__(self, lists: WordLists) -> None:
        self._prefixes = lists.prefixes
        self._numeric_prefixes = lists.numeric_prefixes

    def tokens(self, text: str) -> list[str]:
        """Return the tokens, in lower case."""
        if _PLAIN.fullmatch(text):  # as most captions are
            return text.split()
        text = f" {text} "
        for pattern, new in _RULES:
            text = pattern.sub(new, text)
        words = [word for word in _SPACES.split(text) if word]
        text = " ".join(self._end(word, after) for word, after in zip(words, [*words[1:], ""]))  # noqa: B905
        text = _ALL_SPACES.sub(" ", text).strip(_CONTROLS).lower()
        return [word for word in _SPACES.split(text) if word]

    def _end(self, word: str, after: str) -> str:
        """Return a word with its last full stop kept, left out, or split off."""
        stem = word[:-1]
        if not stem or word[-1] != "." or not word.strip("."):
            return word
        if "." in stem and _HAS_LETTER.search(stem):  # U.S.
            return word.replace(".", "")
        if stem in self._prefixes or "a" <= after[:1] <= "z":
            return word
        if stem in self._numeric_prefixes and "0" <= after[:1] <= "9":
            return word
        return f"{stem} ."
