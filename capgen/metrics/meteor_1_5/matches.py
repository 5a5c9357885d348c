"""What METEOR 1.5 may align: the matches between the words and phrases of two sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import numpy as np

from capgen.metrics.meteor_1_5.paraphrases import Paraphrases, phrase_hashes, word_hashes
from capgen.metrics.meteor_1_5.words import PARAPHRASE, KnownWords, Vocabulary


class Match(NamedTuple):
    """A run of words of the reference that may be aligned with a run of the caption's.

    Attributes:
        start: First word in the reference.
        size: Number of words there.
        caption_start: First word in the caption.
        caption_size: Number of words there.
        matcher: One of `EXACT`, … in `capgen.metrics.meteor_1_5.words`.
    """

    start: int
    size: int
    caption_start: int
    caption_size: int
    matcher: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, looked up.

    Attributes:
        words: The number of each word.
        places: Word → where it stands.
        functions: Number of function words.
        phrases: Phrase of the table → where it stands: pairs of first word and size.
        sources: Phrases with paraphrases among the sentences: first word, size, paraphrases.
        targets: All those paraphrases.
    """

    words: list[int]
    places: dict[int, list[int]]
    functions: int
    phrases: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    sources: list[tuple[int, int, list[int]]] = field(default_factory=list)
    targets: set[int] = field(default_factory=set)


class Sentences:
    """Sentences that may be aligned with each other.

    Args:
        tokens: The tokens of each sentence.
        known: Stems and synsets of their words.
        paraphrases: The paraphrase table.

    Attributes:
        vocabulary: The words of all sentences.
        all: The sentences, in order.
    """

    def __init__(
        self, tokens: Sequence[list[str]], known: KnownWords, paraphrases: Paraphrases
    ) -> None:
        self.vocabulary = Vocabulary((word for line in tokens for word in line), known)
        number, is_function = self.vocabulary.number, self.vocabulary.is_function
        self.all: list[Sentence] = []
        for line in tokens:
            words = [number[word] for word in line]
            places: dict[int, list[int]] = {}
            for place, word in enumerate(words):
                places.setdefault(word, []).append(place)
            functions = sum(is_function[word] for word in words)
            self.all.append(Sentence(words, places, functions))
        if number:
            self._add_phrases(paraphrases)

    def _add_phrases(self, table: Paraphrases) -> None:
        sizes = np.array([len(sentence.words) for sentence in self.all])
        of_word = word_hashes(list(self.vocabulary.number))
        text = of_word[[word for sentence in self.all for word in sentence.words]]
        line = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(text)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found = []
        for size, hashes in enumerate(phrase_hashes(text), start=1):
            inside = np.flatnonzero(line[: len(hashes)] == line[size - 1 :])
            kinds, kind = np.unique(hashes[inside], return_inverse=True)
            phrase = table.find(kinds)[kind]
            known = phrase >= 0
            at = inside[known]
            found.append(np.stack([line[at], place[at], np.full(len(at), size), phrase[known]]))
        rows = np.concatenate(found, axis=1)
        rows = rows[:, np.lexsort((rows[2], rows[1], rows[0]))]
        others = table.among(np.unique(rows[3]))
        partners = np.array([*others, *chain.from_iterable(others.values())], np.int64)
        rows = rows[:, np.isin(rows[3], partners)]
        for number, start, size, phrase in zip(*rows.tolist(), strict=True):
            sentence = self.all[number]
            sentence.phrases.setdefault(phrase, []).append((start, size))
            if phrase in others:
                sentence.sources.append((start, size, others[phrase]))
                sentence.targets.update(others[phrase])

    def matches(self, caption: Sentence, reference: Sentence) -> list[list[Match]]:
        """Return the matches that begin at each word of the reference.

        They are in the order in which the program finds them: by matcher; paraphrases of the
        reference's phrases before those of the caption's.
        """
        near, places = self.vocabulary.near, caption.places
        found: list[list[Match]] = []
        for start, word in enumerate(reference.words):
            of_word = near[word]
            common = of_word.keys() & places.keys()
            options = [
                Match(start, 1, place, 1, matcher)
                for other in common
                for matcher in of_word[other]
                for place in places[other]
            ]
            if len(options) > 1:
                options.sort(key=_by_matcher)
            found.append(options)
        if not caption.phrases.keys().isdisjoint(reference.targets):
            for start, size, others in reference.sources:
                for other in others:
                    for place, length in caption.phrases.get(other, ()):
                        found[start].append(Match(start, size, place, length, PARAPHRASE))
        if not reference.phrases.keys().isdisjoint(caption.targets):
            for place, length, others in caption.sources:
                for other in others:
                    for start, size in reference.phrases.get(other, ()):
                        found[start].append(Match(start, size, place, length, PARAPHRASE))
        return found


def _by_matcher(match: Match) -> tuple[int, int]:
    return match.matcher, match.caption_start
