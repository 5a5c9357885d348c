"""Synonyms from WordNet 3.0, as NLTK's METEOR looks them up.

`capgen._build.make_wordnet` makes the table in `wordnet/`, with everything that this look-up
can reach. WordNet is © Princeton University; its licence is beside the table.
"""

from __future__ import annotations

import functools
import gzip
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib import resources

# WordNet's rules of detachment: an ending and its replacement.
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
            `!form base …` is an irregular form, and any other line is a synset: its names,
            and after `|` further words that lead to it.
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
                left, _, others = line.partition("|")
                names = left.split(" ")
                for key in (*names, *others.split()):
                    synsets[key].append(names)

    def of(self, word: str) -> frozenset[str]:
        """Return `word`, and the one-word, lower-case names of all its synsets.

        As in `nltk.corpus.wordnet.synsets`, the synsets of a word are those of the word itself
        and of its irregular base forms, or if it has none of the word without a regular ending.
        """
        names = self._known.get(word)
        if names is None:
            names = self._known[word] = self._names(word, self._synsets)
        return names

    def nouns(self, word: str) -> frozenset[str]:
        """Return what `of` does, from noun synsets only."""
        return self._names(word, ("n",))

    def noun_bases(self, word: str) -> list[str]:
        """Return the forms that a lower-case word may be the plural of."""
        bases = self._irregular["n"].get(word)
        return detached(word, "n") if bases is None else bases

    def base(self, word: str, part: str) -> str | None:
        """Return the form of a lower-case word that is in WordNet; None if there is none.

        Args:
            word: The word.
            part: A part of speech: n, v, a or r.
        """
        irregular = self._irregular[part].get(word, ())
        forms = (*irregular, word, *detached(word, part))
        return next((form for form in forms if form in self._synsets[part]), None)

    def _names(self, word: str, parts: Iterable[str]) -> frozenset[str]:
        lower, names = word.lower(), {word}
        for part in parts:
            bases = self._irregular[part].get(lower)
            for form in (lower, *(detached(lower, part) if bases is None else bases)):
                names.update(*self._synsets[part].get(form, ()))
        return frozenset(names)


def detached(word: str, part: str) -> list[str]:
    """Return a lower-case word without its regular ending, as part of speech n, v, a or r."""
    return [word[: -len(ending)] + new for ending, new in _ENDINGS[part] if word.endswith(ending)]


@functools.cache
def wordnet() -> Synonyms:
    """Return the synonyms of WordNet 3.0; the table is read once."""
    table = resources.files("capgen.metrics") / "wordnet" / "synonyms.txt.gz"
    return Synonyms(gzip.decompress(table.read_bytes()).decode().splitlines())
