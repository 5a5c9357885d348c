"""What METEOR 1.5 may align: the matches between the words and phrases of two sentences."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from capgen.metrics.corpus import Integers
from capgen.metrics.meteor_1_5.paraphrases import Paraphrases, phrase_hashes
from capgen.metrics.meteor_1_5.words import PARAPHRASE, Vocabulary


class Match(NamedTuple):
    """A run of words of the reference that may be aligned with a run of the caption's.

    Where it begins in the reference is told by the list that it is in.

    Attributes:
        size: Number of words in the reference.
        caption_start: First word in the caption.
        caption_size: Number of words there.
        matcher: One of `EXACT`, … in `capgen.metrics.meteor_1_5.words`.
    """

    size: int
    caption_start: int
    caption_size: int
    matcher: int


@dataclass(slots=True, eq=False)
class Sentence:
    """A sentence, looked up.

    Attributes:
        words: The number of each word.
        functions: Number of function words.
        places: Word → where it stands.
        phrases: Its phrases of the table that are paraphrases of phrases of some sentence, or
            have some there.
        spans: These phrases, after first word and size; by first word, then size.
        targets: Their paraphrases among the sentences.
        sources: Phrases with such paraphrases: first word, size, paraphrases. None until asked
            for, as what follows.
        near: Words that may be aligned with one of these.
        options: Word → its matches with words of this sentence.
    """

    words: list[int]
    functions: int
    places: dict[int, list[int]]
    phrases: Set[int] = frozenset()
    spans: Sequence[tuple[int, int, int]] = ()
    targets: Set[int] = frozenset()
    sources: list[tuple[int, int, list[int]]] | None = None
    near: set[int] | None = None
    options: dict[int, list[Match]] = field(default_factory=dict)


class Sentences:
    """Sentences that may be aligned with each other.

    Args:
        tokens: The tokens of each sentence.
        vocabulary: Their words, and those of other sentences; new ones are added.
        paraphrases: The paraphrase table.

    Attributes:
        all: The sentences, in order.
    """

    def __init__(
        self, tokens: Sequence[list[str]], vocabulary: Vocabulary, paraphrases: Paraphrases
    ) -> None:
        self._vocabulary = vocabulary
        self._others: dict[int, list[int]] = {}
        self.all: list[Sentence] = []
        is_function = vocabulary.is_function
        for line in tokens:
            words = vocabulary.numbers(line)
            places: dict[int, list[int]] = {}
            for place, word in enumerate(words):
                if word in places:
                    places[word].append(place)
                else:
                    places[word] = [place]
            functions = sum([is_function[word] for word in words])
            self.all.append(Sentence(words, functions, places))
        if any(tokens):
            self._add_phrases(paraphrases)

    def matches(self, caption: Sentence, reference: Sentence) -> list[Sequence[Match]]:
        """Return the matches that begin at each word of the reference.

        They are in the order in which the program finds them: by matcher; paraphrases of the
        reference's phrases before those of the caption's.
        """
        if caption.near is None:
            of_word = self._vocabulary.near
            caption.near = set().union(*[of_word[word] for word in caption.places])
        found: list[Sequence[Match]] = [()] * len(reference.words)
        for word in caption.near.intersection(reference.places):
            options = caption.options.get(word)
            if options is None:
                options = caption.options[word] = self._options(caption, word)
            for start in reference.places[word]:
                found[start] = options
        if not caption.phrases.isdisjoint(reference.targets):
            for start, size, place, length in self._paraphrases(reference, caption):
                found[start] = (*found[start], Match(size, place, length, PARAPHRASE))
        if not reference.phrases.isdisjoint(caption.targets):
            for place, length, start, size in self._paraphrases(caption, reference):
                found[start] = (*found[start], Match(size, place, length, PARAPHRASE))
        return found

    def _options(self, caption: Sentence, word: int) -> list[Match]:
        """Return the matches of a word with words of the caption."""
        found = [
            (matcher, place)
            for other in self._vocabulary.near[word] & caption.places.keys()
            for matcher in self._vocabulary.matchers(word, other)
            for place in caption.places[other]
        ]
        return [Match(1, place, 1, matcher) for matcher, place in sorted(found)]

    def _paraphrases(self, one: Sentence, two: Sentence) -> list[tuple[int, int, int, int]]:
        """Return where phrases of `one` stand, and their paraphrases in `two`."""
        if one.sources is None:
            others = self._others
            one.sources = [
                (start, size, others[phrase])
                for start, size, phrase in one.spans
                if phrase in others
            ]
        targets = two.phrases & one.targets
        places: dict[int, list[tuple[int, int]]] = {target: [] for target in targets}
        for start, size, phrase in two.spans:
            if phrase in targets:
                places[phrase].append((start, size))
        return [
            (start, size, *place)
            for start, size, others in one.sources
            if not targets.isdisjoint(others)
            for other in others
            if other in targets
            for place in places[other]
        ]

    def _add_phrases(self, table: Paraphrases) -> None:
        rows = self._phrases(table)
        sources, targets = table.among(np.unique(rows[3]))
        rows = rows[:, np.isin(rows[3], np.concatenate([sources, targets]))]
        others = self._others
        for phrase, other in zip(sources.tolist(), targets.tolist(), strict=True):
            others.setdefault(phrase, []).append(other)
        lines, *columns = rows
        spans = list(zip(*[column.tolist() for column in columns], strict=True))
        ends = np.searchsorted(lines, np.arange(len(self.all)), side="right").tolist()
        start = 0
        for sentence, end in zip(self.all, ends, strict=True):
            if start != end:
                sentence.spans = spans[start:end]
                sentence.phrases = {span[2] for span in sentence.spans}
                sentence.targets = set().union(
                    *[others[phrase] for phrase in sentence.phrases if phrase in others]
                )
            start = end

    def _phrases(self, table: Paraphrases) -> Integers:
        """Return the phrases of the table: rows of sentence, first word, size and phrase."""
        sizes = np.array([len(sentence.words) for sentence in self.all])
        words = np.array([word for sentence in self.all for word in sentence.words])
        text = np.array(self._vocabulary.hashes, np.uint64)[words]
        line = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(text)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found = []
        for size, hashes in enumerate(phrase_hashes(text), start=1):
            at = np.flatnonzero(table.may_have(hashes))
            at = at[line[at] == line[at + size - 1]]
            kinds, kind = np.unique(hashes[at], return_inverse=True)
            phrase = table.find(kinds)[kind]
            known = phrase >= 0
            at = at[known]
            found.append(np.stack([line[at], place[at], np.full(len(at), size), phrase[known]]))
        rows = np.concatenate(found, axis=1)
        return rows[:, np.lexsort((rows[2], rows[1], rows[0]))]
