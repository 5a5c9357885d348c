"""What the words of English captions are about: objects, actions, colours, numbers, positions."""

from __future__ import annotations

import functools

from capgen.captioning.decoding.noun_lexicon import noun_of
from capgen.metrics.function_words import FUNCTION_WORDS
from capgen.metrics.synonyms import detached, wordnet

OBJECTS, ACTIONS, COLOURS, NUMBERS = "objects", "actions", "colours", "numbers"
POSITIONS, QUALITIES = "positions", "qualities"
CLASSES = (OBJECTS, ACTIONS, COLOURS, NUMBERS, POSITIONS, QUALITIES)

_COLOUR_NAMES = """
red blue green yellow black white brown gray orange pink purple tan beige golden blond silver
maroon turquoise
"""
_NUMBER_NAMES = "two three four five six seven eight nine ten"
_POSITION_WORDS = """
in on at under over behind beside near front between through across around along above below
against inside outside into onto beneath underneath atop among
"""
# Words that are more often a quality than the thing that the lexicon of nouns has, or the verb.
_QUALITY_WORDS = """
young old small large little big tall short long wooden open empty wet dry dirty clean hot cold
bright dark light high low fluffy furry colorful different top middle older younger smaller larger
busy elderly male female
"""
# Things that the lexicon leaves out because they may be verbs, or because they are no such things.
_OBJECT_NAMES = """
field group park face hand arm background game side stripe edge stone course color trick fire city
playground lawn jersey bikini wetsuit area goal biker competition back number
"""
_COLOURS = frozenset(_COLOUR_NAMES.split())
_NUMBERS = frozenset(_NUMBER_NAMES.split())
_POSITIONS = frozenset(_POSITION_WORDS.split())
_QUALITIES = frozenset(_QUALITY_WORDS.split())
_OBJECTS = frozenset(_OBJECT_NAMES.split())
_SPELLINGS = {"grey": "gray", "blonde": "blond", "gold": "golden"}
_DIGITS = dict(zip("23456789", _NUMBER_NAMES.split(), strict=False))
# WordNet also has "swinge" and "singe".
_VERBS = {"swinging": "swing", "singing": "sing"}


@functools.lru_cache(maxsize=50_000)
def class_of(word: str) -> tuple[str, str] | None:
    """Return the class of a lower-case English word and the form that it is counted as.

    Nouns are those of the lexicon that names things and living beings, in the singular; verbs
    are in their base form, by WordNet 3.0. A word that may be several is what it mostly is in
    captions of photos: a colour, a quality, a noun, a verb.

    Returns:
        None for words of no class, such as articles.
    """
    word = _DIGITS.get(word, _SPELLINGS.get(word, word))
    if word in _COLOURS:
        return COLOURS, word
    if word in _NUMBERS:
        return NUMBERS, word
    if word in _POSITIONS:
        return POSITIONS, word
    if word in FUNCTION_WORDS or not word.isalpha():
        return None
    if word in _QUALITIES:
        return QUALITIES, word
    noun = next((form for form in (word, *detached(word, "n")) if form in _OBJECTS), noun_of(word))
    if noun is not None:
        return OBJECTS, noun
    verb = _VERBS.get(word) or wordnet().base(word, "v")
    if verb is not None:
        return ACTIONS, verb
    quality = wordnet().base(word, "a")
    return None if quality is None else (QUALITIES, quality)
