"""Which words METEOR 1.5 may align: equal ones, those of one stem, synonyms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from capgen.metrics.meteor_1_5.resources import WordLists

EXACT, STEM, SYNONYM, PARAPHRASE = range(4)

# WordNet's rules of detachment: the first that leads to a word of WordNet counts.
_ENDINGS = (
    *(("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh")),
    *(("men", "man"), ("ies", "y"), ("es", "e"), ("es", "")),
    *(("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    *(("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
)


class KnownWords:
    """Stems and synsets of words, each looked up once."""

    def __init__(self, lists: WordLists) -> None:
        from nltk.stem.snowball import EnglishStemmer  # slow to import

        self._lists = lists
        self._stem = EnglishStemmer().stem
        self._known: dict[str, tuple[str, set[str]]] = {}

    def is_function(self, word: str) -> bool:
        """Whether it is a function word."""
        return word in self._lists.function_words

    def stem_and_synsets(self, word: str) -> tuple[str, set[str]]:
        """Return the stem of a word, and the numbers of its synsets."""
        known = self._known.get(word)
        if known is None:
            known = self._known[word] = self._stem(word), _synsets(word, self._lists)
        return known


class Vocabulary:
    """The words of a set of sentences, numbered, and how they match each other.

    Args:
        words: The words.
        known: Their stems and synsets.

    Attributes:
        number: Word → its number.
        is_function: By number: whether it is a function word.
        near: By number: number of another word → the matchers that align the two, ascending;
            the word itself is aligned by `EXACT` alone.
    """

    def __init__(self, words: Iterable[str], known: KnownWords) -> None:
        self.number = {word: number for number, word in enumerate(dict.fromkeys(words))}
        self.is_function = [known.is_function(word) for word in self.number]
        stems: defaultdict[str, list[int]] = defaultdict(list)
        synsets: defaultdict[str, list[int]] = defaultdict(list)
        for word, number in self.number.items():
            stem, of_word = known.stem_and_synsets(word)
            stems[stem].append(number)
            for synset in of_word:
                synsets[synset].append(number)
        self.near: list[dict[int, tuple[int, ...]]] = [{n: (EXACT,)} for n in self.number.values()]
        for matcher, groups in ((STEM, stems), (SYNONYM, synsets)):
            for group in groups.values():
                for number in group:
                    self._join(matcher, number, group)

    def _join(self, matcher: int, number: int, group: list[int]) -> None:
        near = self.near[number]
        for other in group:
            known = near.get(other, ())
            if other != number and matcher not in known:
                near[other] = (*known, matcher)


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
