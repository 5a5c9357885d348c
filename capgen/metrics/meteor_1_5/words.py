"""Which words METEOR 1.5 may align: equal ones, those of one stem, synonyms."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable

from capgen.metrics.meteor_1_5.paraphrases import word_hash
from capgen.metrics.meteor_1_5.resources import WordLists

EXACT, STEM, SYNONYM, PARAPHRASE = range(4)

# WordNet's rules of detachment: the first that leads to a word of WordNet counts.
_ENDINGS = (
    *(("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh")),
    *(("men", "man"), ("ies", "y"), ("es", "e"), ("es", "")),
    *(("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    *(("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
)


class Vocabulary:
    """Words, numbered as they come, and how they match each other.

    Attributes:
        is_function: By number: whether it is a function word.
        near: By number: the numbers of all words that may be aligned with it, itself among them.
        hashes: By number: the hash of the word, see `capgen.metrics.meteor_1_5.paraphrases`.
    """

    def __init__(self, lists: WordLists) -> None:
        from nltk.stem.snowball import EnglishStemmer  # slow to import

        self.is_function: list[bool] = []
        self.near: list[set[int]] = []
        self.hashes = array("Q")
        self._lists = lists
        self._stem = EnglishStemmer().stem
        self._numbers: dict[str, int] = {}
        self._stems: list[str] = []
        self._synsets: list[set[str]] = []
        # Words that share a stem or a synset.
        self._of_stem: defaultdict[str, list[int]] = defaultdict(list)
        self._of_synset: defaultdict[str, list[int]] = defaultdict(list)

    def numbers(self, words: Iterable[str]) -> list[int]:
        """Return the number of each word; new ones are added."""
        numbers = self._numbers
        return [numbers[word] if word in numbers else self._add(word) for word in words]

    def matchers(self, word: int, other: int) -> tuple[int, ...]:
        """Return the matchers that align two words, ascending; equal ones by `EXACT` alone."""
        if word == other:
            return (EXACT,)
        by_stem = (STEM,) if self._stems[word] == self._stems[other] else ()
        if self._synsets[word].isdisjoint(self._synsets[other]):
            return by_stem
        return (*by_stem, SYNONYM)

    def _add(self, word: str) -> int:
        number = self._numbers[word] = len(self._numbers)
        stem, synsets = self._stem(word), _synsets(word, self._lists)
        self._stems.append(stem)
        self._synsets.append(synsets)
        self.is_function.append(word in self._lists.function_words)
        self.hashes.append(word_hash(word))
        near = {number}
        for group in (self._of_stem[stem], *[self._of_synset[synset] for synset in synsets]):
            near.update(group)
            group.append(number)
        for other in near:
            if other != number:
                self.near[other].add(number)
        self.near.append(near)
        return number


def _synsets(word: str, lists: WordLists) -> set[str]:
    """Return the synsets of a word and of its base forms.

    The base forms are the irregular ones, or if there are none, the first without an ending.
    """
    table = lists.synsets
    found = set(table.get(word, "").split())
    bases = lists.bases.get(word)
    if bases is None:
        bases = []
        if len(word) > 2 and not word.endswith("ss"):
            forms = (word[: -len(end)] + new for end, new in _ENDINGS if word.endswith(end))
            bases = [form for form in forms if form in table][:1]
    for base in bases:
        found.update(table.get(base, "").split())
    return found
