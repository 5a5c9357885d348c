"""The tokens that captions are compared by, for languages that PTB's tokenizer cannot split.

PTB's tokenizer, that of the COCO scorers, splits text in Latin, Greek and Cyrillic letters.
`unicode` takes words as Unicode's default word boundaries do (UAX #29, with hyphens inside words),
so that the vowel signs of Hindi stay in their words. `characters` makes each character of a
script without spaces a token, with the marks above and below it, as Chinese BLEU is usually
computed. jieba, fugashi and pythainlp find the words of Chinese, Japanese and Thai.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from capgen.errors import MetricError
from capgen.metrics.ptb import tokenizer as ptb_tokenizer
from capgen.metrics.scripts import letter_scripts, unspaced_share

AUTO = "auto"
PTB = "ptb"
UNICODE = "unicode"
CHARACTERS = "characters"
# Language → the package that finds its words.
_SEGMENTERS = {"zh": "jieba", "ja": "fugashi", "th": "pythainlp"}
# fugashi needs one of these dictionaries.
_DICTIONARIES = ("unidic", "unidic_lite")
_VERSION = "1"
_PTB_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")

# Letters of scripts without spaces between words: CJK, kana, Thai, Lao, Tibetan, Myanmar, Khmer.
_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f\u3005-\u3007\u3021-\u3029"
    "\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SPACED = re.compile(rf"[{_UNSPACED}]\s+[{_UNSPACED}]")
# What stays inside a word between letters, and inside a number between digits.
_IN_WORDS = frozenset("'.·-\u05f4\u200c\u200d_")
_IN_NUMBERS = frozenset(".,'/:-")


@dataclass(frozen=True)
class Tokenizer:
    """How captions become tokens.

    Attributes:
        key: What `--tokenizer` calls it.
        name: Its name in reports.
        version: Its version, which changes whenever its tokens do.
        tokenize: Returns the tokens of a caption, in lower case, joined by single spaces.
    """

    key: str
    name: str
    version: str
    tokenize: Callable[[str], str]


def choose(key: str, language: str, references: Sequence[str]) -> Tokenizer:
    """Return a tokenizer, or for `auto` the one that suits the references.

    Args:
        key: A choice of `EvalConfig.tokenizer`.
        language: The captions' language as in BCP 47; empty if unknown.
        references: The human captions.

    Raises:
        MetricError: The package of the tokenizer is not installed.
    """
    return tokenizer(_suited(language.split("-")[0].lower(), references) if key == AUTO else key)


@functools.cache
def tokenizer(key: str) -> Tokenizer:
    """Return the tokenizer of a key other than `auto`.

    Raises:
        MetricError: Its package is not installed.
    """
    if key == PTB:
        version = ptb_tokenizer.TOKENIZER_VERSION
        return Tokenizer(PTB, ptb_tokenizer.TOKENIZER, version, ptb_tokenizer.tokenize)
    if key == UNICODE:
        name = "words by Unicode's rules, lower case, no punctuation"
        return Tokenizer(UNICODE, name, _VERSION, unicode_words)
    if key == CHARACTERS:
        name = "characters of scripts without spaces, other words whole, lower case, no punctuation"
        return Tokenizer(CHARACTERS, name, _VERSION, characters)
    if not _is_installed(key):
        raise MetricError(
            f"The tokenizer {key} is not installed",
            hint=f"pip install {'fugashi unidic-lite' if key == 'fugashi' else key}",
        )
    # The words are those of its dictionary.
    packages = [key, *(filter(find_spec, _DICTIONARIES) if key == "fugashi" else ())][:2]
    versions = [importlib.metadata.version(package.replace("_", "-")) for package in packages]
    named = " with ".join(map(" ".join, zip(packages, versions, strict=True)))
    name = f"words by {named}, lower case, no punctuation"
    return Tokenizer(key, name, "/".join((_VERSION, *versions)), _segmented(key))


def suggested_package(language: str) -> str:
    """Return the package that finds the words of a language; empty if there is none."""
    return _SEGMENTERS.get(language.split("-")[0].lower(), "")


def unicode_words(caption: str) -> str:
    """Return the words of a caption in lower case, joined by spaces.

    A word is a run of letters, marks and digits; apostrophes, full stops, hyphens and joiners
    stay between two of them, decimal points and the like between digits.
    """
    return " ".join(_words(_normal(caption)))


def characters(caption: str) -> str:
    """Return the characters of scripts without spaces, and the words of others, in lower case."""
    text = _normal(caption)
    tokens: list[str] = []
    run: list[str] = []
    for character in text:
        alone = _IS_UNSPACED.match(character) is not None
        kind = unicodedata.category(character)[0]
        if alone and kind != "M":
            tokens += _words("".join(run))
            run = []
            if kind in "LN":
                tokens.append(character)
        elif kind == "M" and not run and tokens:
            tokens[-1] += character
        else:
            run.append(character)
    return " ".join((*tokens, *_words("".join(run))))


def _suited(language: str, references: Sequence[str]) -> str:
    if language == "en":
        return PTB
    if unspaced_share(references) > 0.5:
        if _is_spaced(references):  # somebody has put spaces between the words
            return UNICODE
        package = suggested_package(language)
        return package if package and _is_installed(package) else CHARACTERS
    scripts = letter_scripts(references)
    known = sum(scripts[script] for script in _PTB_SCRIPTS)
    return PTB if 2 * known >= scripts.total() else UNICODE


def _is_spaced(texts: Sequence[str]) -> bool:
    """Whether texts in a script without spaces have spaces between words nevertheless."""
    spaced = sum(_SPACED.search(text) is not None for text in texts)
    letters = sum(len(_IS_UNSPACED.findall(text)) for text in texts)
    pieces = sum(_IS_UNSPACED.search(piece) is not None for text in texts for piece in text.split())
    # Phrases between the spaces of Thai are longer than words.
    return 2 * spaced >= len(texts) and letters < 6 * pieces


def _is_installed(package: str) -> bool:
    if find_spec(package) is None:
        return False
    return package != "fugashi" or any(map(find_spec, _DICTIONARIES))


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u2019", "'").lower()


def _words(text: str) -> list[str]:
    words: list[str] = []
    word = ""
    for place, character in enumerate(text):
        if unicodedata.category(character)[0] in "LMN" or (word and _joins(text, place)):
            word += character
        elif word:
            words.append(word)
            word = ""
    return [*words, word] if word else words


def _joins(text: str, place: int) -> bool:
    """Whether a character joins the letters or the digits before and after it."""
    if place + 1 == len(text):
        return False
    mark, before, after = text[place], text[place - 1], text[place + 1]
    if before.isdigit() and after.isdigit():
        return mark in _IN_NUMBERS
    return mark in _IN_WORDS and unicodedata.category(after)[0] in "LMN"


def _segmented(package: str) -> Callable[[str], str]:
    """Return a function that has a package find the words of a caption."""
    split = {"jieba": _jieba, "fugashi": _fugashi, "pythainlp": _pythainlp}[package]()

    def tokenize(caption: str) -> str:
        return " ".join(word for piece in split(_normal(caption)) for word in _words(piece))

    return tokenize


def _jieba() -> Callable[[str], list[str]]:
    jieba = importlib.import_module("jieba")
    jieba.setLogLevel(logging.WARNING)  # it reports how it loads its dictionary
    cut: Callable[[str], list[str]] = jieba.lcut
    return cut


def _fugashi() -> Callable[[str], list[str]]:
    tagger = importlib.import_module("fugashi").Tagger()
    return lambda text: [word.surface for word in tagger(text)]


def _pythainlp() -> Callable[[str], list[str]]:
    split = importlib.import_module("pythainlp.tokenize").word_tokenize
    return lambda text: list(split(text, engine="newmm"))
