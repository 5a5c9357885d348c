"""Which nouns become concepts: those of ImageNet's classes that captions say, and frequent ones.

A class names its own nouns and those of its hypernyms in WordNet: a beagle is a hound, a dog, an
animal. Nouns that are too general, or that captions mean otherwise, are left out
(`not_concepts.txt`).
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.noun_lexicon import is_noun
from capgen.models.imagenet_nouns import ImageNetClass, imagenet_nouns
from capgen.training.concepts.noun_counts import NounCounts

NOT_CONCEPTS_FILE = "not_concepts.txt"
_NEVER, _WITHOUT_CLASSES = "[never]", "[without classes]"
# Captions that must say a noun, in units of the count that a word of the vocabulary needs: a
# class's own noun or its direct hypernym, a further hypernym, a noun of no class.
_NEAR, _FAR, _NO_CLASS = 2, 5, 15
# Steps to a hypernym that count as near.
_NEAR_STEPS = 1
_MOST_WORDS = 2
# The last word of a class's name is one of its nouns, such as that of "golden retriever", but not
# of these.
_NOT_THEIR_LAST_WORD = frozenset({"hot dog"})


@dataclass(frozen=True)
class ConceptList:
    """Concepts in alphabetical order.

    Attributes:
        names: The nouns, of one or two words.
        membership: uint8 (classes, C): 1 where the concept names the class or a hypernym of it.
    """

    names: tuple[str, ...]
    membership: NDArray[np.uint8]


def concept_list(
    captions: Iterable[Sequence[str]], vocabulary: Collection[str], *, min_count: int
) -> ConceptList:
    """Return the concepts of captions.

    Args:
        captions: The words of each caption, in lower case.
        vocabulary: The words that the model can say.
        min_count: The count that a word of the vocabulary needs.
    """
    counts = NounCounts(captions)
    never, without_classes = _excluded()
    classes = imagenet_nouns()
    owners: defaultdict[str, set[int]] = defaultdict(set)
    nearest: dict[str, int] = {}
    for number, one in enumerate(classes):
        for noun, steps in _nouns_of(one, never | without_classes):
            owners[noun].add(number)
            nearest[noun] = min(steps, nearest.get(noun, steps))
    said = _said(owners, nearest, counts, vocabulary, min_count)
    names = {*said, *_frequent_nouns(counts, vocabulary, never, min_count)}
    ordered = tuple(sorted(names))
    membership = np.zeros((len(classes), len(ordered)), np.uint8)
    for column, name in enumerate(ordered):
        membership[sorted(said.get(name, ())), column] = 1
    return ConceptList(ordered, membership)


def _said(
    owners: Mapping[str, set[int]],
    nearest: Mapping[str, int],
    counts: NounCounts,
    vocabulary: Collection[str],
    min_count: int,
) -> dict[str, set[int]]:
    """Return the nouns of classes that captions say often enough, as they say them."""
    said: dict[str, set[int]] = {}
    for noun, classes in owners.items():
        needed = min_count * (_NEAR if nearest[noun] <= _NEAR_STEPS else _FAR)
        usual = counts.usual_form(noun)
        if all(word in vocabulary for word in usual.split()) and counts.count(noun) >= needed:
            said[usual] = said.get(usual, set()) | classes
    return said


def _nouns_of(one: ImageNetClass, excluded: frozenset[str]) -> Iterable[tuple[str, int]]:
    """Yield the nouns of a class that may be concepts, with the steps to each."""
    own = one.levels[0]
    if not _NOT_THEIR_LAST_WORD & {*own}:
        for name in own:
            _, space, last = name.rpartition(" ")
            if space and last not in excluded:
                yield last, _NEAR_STEPS + 1
    for steps, names in enumerate(one.levels):
        for name in names:
            if len(name.split()) <= _MOST_WORDS and name not in excluded:
                yield name, steps


def _frequent_nouns(
    counts: NounCounts, vocabulary: Collection[str], excluded: frozenset[str], min_count: int
) -> Iterable[str]:
    for word in counts.words():
        noun = counts.base(word)
        usable = word in vocabulary and not {word, noun} & excluded and is_noun(word)
        if usable and counts.count(noun) >= min_count * _NO_CLASS:
            usual = counts.usual_form(noun)
            if usual in vocabulary:
                yield usual


@functools.cache
def _excluded() -> tuple[frozenset[str], frozenset[str]]:
    """Return the nouns that never become concepts, and those that do so without classes."""
    file = resources.files("capgen.training.concepts") / NOT_CONCEPTS_FILE
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    first, second = lines.index(_NEVER), lines.index(_WITHOUT_CLASSES)
    return frozenset(filter(None, lines[first + 1 : second])), frozenset(lines[second + 1 :])
