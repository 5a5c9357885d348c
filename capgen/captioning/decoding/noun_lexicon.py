"""Which tokens of a vocabulary begin which noun, so that a caption uses each noun once.

A noun is recognised by the token that begins it. Where every word is one token, that token is
the noun, in one form: "dogs" may follow "dog". Where words are split into pieces, a noun of
several pieces is recognised by its first piece, unless that piece is itself another word. So a
repeated noun is never even begun.

The nouns are English, and name things and living beings (see `capgen._build.make_nouns`).
"""

from __future__ import annotations

import bisect
import functools
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np

from capgen.captioning.decoding.noun_table import NounTable
from capgen.metrics.function_words import FUNCTION_WORDS
from capgen.metrics.synonyms import detached, wordnet

NOUNS_FILE = "nouns.txt.gz"
# In that file this line ends the nouns; other words that a noun begins with follow it.
WORDS_MARK = "="

# Vocabularies are in order of frequency: the language is the one of the first of these words.
_ENGLISH = ("the", "and", "of", "with", "is")
_OTHERS = """
de der die das ein eine und mit auf la le les un une et des du el los una con en del il di che
het een op och att ett og på med um uma com na nie ve bir se az egy yang dan și în jest
"""
_OTHER_LANGUAGES = frozenset(_OTHERS.split())
# Marks of a token that begins a word (GPT-2, SentencePiece), continues one (BERT), ends one
# (CLIP).
_BEGINS = ("Ġ", "▁")
_CONTINUES = "##"
_ENDS = "</w>"


def noun_table(vocabulary: Mapping[str, int]) -> NounTable | None:
    """Find the tokens that begin a noun in a tokenizer's vocabulary (token → id).

    Returns None if the vocabulary is not English, or does not show where words begin.
    """
    starts, in_pieces = _word_starts(vocabulary)
    if not _is_english(starts):
        return None
    lexicon = _lexicon()
    whole = frozenset(starts.values())
    numbers = np.zeros(max(vocabulary.values()) + 1, np.int64)
    known: dict[str, int] = {}
    for token, text in starts.items():
        if lexicon.has(text) or (in_pieces and lexicon.begun_by(text, whole)):
            numbers[token] = known.setdefault(text, len(known) + 1)
    return NounTable(numbers)


def is_noun(word: str) -> bool:
    """Whether a lower-case word is a noun of the lexicon, or a plural of one."""
    return _lexicon().has(word)


def noun_of(word: str) -> str | None:
    """Return the noun that a lower-case word is a form of, as in "dogs" → "dog"; None if none."""
    if not is_noun(word):
        return None
    return next(filter(is_noun, wordnet().noun_bases(word)), word)


def _word_starts(vocabulary: Mapping[str, int]) -> tuple[dict[int, str], bool]:
    """Return the text of tokens that begin a word, by id, and whether others continue one."""
    for mark in _BEGINS:
        if any(token.startswith(mark) and token != mark for token in vocabulary):
            begun = {i: token[1:] for token, i in vocabulary.items() if token.startswith(mark)}
            return {i: text.lower() for i, text in begun.items()}, True
    if any(token.endswith(_ENDS) and token != _ENDS for token in vocabulary):
        return {}, True
    begun = {
        i: text
        for text, i in vocabulary.items()
        if not text.startswith(_CONTINUES) or text == _CONTINUES
    }
    return {i: text.lower() for i, text in begun.items()}, len(begun) < len(vocabulary)


def _is_english(starts: Mapping[int, str]) -> bool:
    first: dict[str, int] = {}
    for token, text in starts.items():
        first[text] = min(token, first.get(text, token))
    english = [first[word] for word in _ENGLISH if word in first]
    others = [first[word] for word in _OTHER_LANGUAGES if word in first]
    return bool(english) and min(english) < min(others, default=min(english) + 1)


@dataclass(frozen=True)
class _Lexicon:
    """English nouns, in order, and other words that a noun begins with."""

    nouns: tuple[str, ...]
    known: frozenset[str]
    words: frozenset[str]

    def has(self, word: str) -> bool:
        """Whether a word is one of the nouns, or a regular plural of one."""
        if word in FUNCTION_WORDS or word in _OTHER_LANGUAGES:
            return False
        return word in self.known or any(base in self.known for base in detached(word, "n"))

    def begun_by(self, piece: str, whole: frozenset[str]) -> bool:
        """Whether a piece, itself not a word, begins a noun that is not in `whole`, the tokens."""
        if len(piece) < 2 or piece in self.words or piece in FUNCTION_WORDS:
            return False
        place = bisect.bisect_left(self.nouns, piece)
        while place < len(self.nouns) and self.nouns[place].startswith(piece):
            if self.nouns[place] not in whole:
                return True
            place += 1
        return False


@functools.cache
def _lexicon() -> _Lexicon:
    table = resources.files("capgen.metrics") / "wordnet" / NOUNS_FILE
    lines = gzip.decompress(table.read_bytes()).decode().split()
    mark = lines.index(WORDS_MARK)
    nouns = tuple(lines[:mark])
    return _Lexicon(nouns, frozenset(nouns), frozenset(lines[mark + 1 :]))
