"""Synonyms out of WordNet 3.0, as NLTK's METEOR looks them up.

The table in `wordnet/` is made by `capgen._build.make_wordnet` and holds what that look-up
can reach. WordNet is © Princeton University; its licence lies beside the table.
"""

from __future__ import annotations

import functools
import gzip
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib import resources

# WordNet's rules of detachment: an ending, and what to put in its place.
_ENDINGS = {
    "n": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z")),
        *(("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")),
    ),
    "v": (
        *(("s", ""), ("ies", "y"), ("es", "e"), ("es", "")),
        *(("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    ),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}


class Synonyms:
    """Looks up the synonyms of a word.

    Args:
        lines: The lines of the table: `=n`, `=v`, `=a` or `=r` begins a part of speech,
            `!form base …` is an irregular form, and any other line is a synset: names,
            and after `|` further entries under which it is found.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._synsets: dict[str, defaultdict[str, list[Sequence[str]]]] = {}
        self._irregular: dict[str, dict[str, list[str]]] = {}
        self._known: dict[str, frozenset[str]] = {}
        for line in lines:
            if line.startswith("="):
                synsets = self._synsets[line[1:]] = defaultdict(list)
                irregular = self._irregular[line[1:]] = {}
            elif line.startswith("!"):
                form, *bases = line[1:].split()
                irregular[form] = bases
            else:
                names, _, others = line.partition("|")
                found = names.split(" ")
                for key in found:
                    synsets[key].append(found)
                for key in others.split():
                    synsets[key].append(found)

    def of(self, word: str) -> frozenset[str]:
        """Return the one-word, lower-case names of every synset of `word`, and itself.

        These are the names that `nltk.corpus.wordnet.synsets(word)` leads to and that can
        be equal to a lower-case word: the word is tried as it is, and either its irregular
        base forms or what is left without a regular ending, in all parts of speech.
        """
        names = self._known.get(word)
        if names is None:
            names = self._known[word] = self._names(word, self._synsets)
        return names

    def nouns(self, word: str) -> frozenset[str]:
        """Return what `of` does, out of the synsets of nouns only."""
        return self._names(word, ("n",))

    def _names(self, word: str, parts: Iterable[str]) -> frozenset[str]:
        found = {word}
        for part in parts:
            for form in self._forms(word.lower(), part):
                for group in self._synsets[part].get(form, ()):
                    found.update(group)
        return frozenset(found)

    def _forms(self, word: str, part: str) -> list[str]:
        bases = self._irregular[part].get(word)
        return [word, *(detached(word, part) if bases is None else bases)]


def detached(word: str, part: str) -> list[str]:
    """Return what is left of a word without a regular ending.

    Args:
        word: In lower case.
        part: The part of speech that it is taken for: `n`, `v`, `a` or `r`.
    """
    return [word[: -len(ending)] + new for ending, new in _ENDINGS[part] if word.endswith(ending)]


@functools.cache
def wordnet() -> Synonyms:
    """Return the synonyms of WordNet 3.0 (reads the table once)."""
    table = resources.files("capgen.metrics") / "wordnet" / "synonyms.txt.gz"
    return Synonyms(gzip.decompress(table.read_bytes()).decode().splitlines())
