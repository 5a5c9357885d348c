"""CHAIR: how many of the objects that captions name are not in the image.

Rohrbach et al., "Object hallucination in image captioning" (EMNLP 2018). CHAIRi is the share of
all mentions of objects that are wrong, CHAIRs the share of captions with a wrong one. An object
is there if instance annotations or a reference name it.

The table of objects in `objects/` is our own, for COCO's 80 categories. The paper's
(`synonyms.txt` of its authors' program) has the same form and can take its place. Mentions then
differ from that program's in about 2 of 100 captions of COCO, nearly always because it misses some:

* Plurals are reduced by WordNet's rules. `pattern`'s, which it uses, spoil "bus", "ties" and
  "canoes" ("bu", "ty", "cano").
* Spaces and capital letters in the table do not matter. They keep it from finding "motor bike" and
  "cheesecake" (two spaces before them in its table) and "iPhone".
* All names of several words are found. It finds a fixed list of pairs, and "stove top oven" as two.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Self

import numpy as np

from capgen.errors import MetricError
from capgen.metrics.corpus import Corpus, Integers
from capgen.metrics.synonyms import wordnet

INSTANCES_NAME = "CHAIRi"
SENTENCES_NAME = "CHAIRs"
TABLE = "capgen's table for COCO's 80 categories"

# The rules that the paper's program has beside its table: pairs of words whose last word alone
# would name something else, and what they name. Of those the table lacks, nothing is named.
_ANIMALS = (
    *("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    *("animal", "cub"),
)
_PAIRS = {
    **{f"{age} {animal}": animal for age in ("baby", "adult") for animal in _ANIMALS},
    **{f"passenger {vehicle}": vehicle for vehicle in ("jet", "train")},
    **{
        pair: pair
        for pair in (
            *("motor bike", "motor cycle", "air plane", "street light", "traffic signal"),
            *("stop light", "suit case", "mobile phone", "laptop computer", "home plate"),
            *("hot dog", "teddy bear", "baseball bat", "baseball glove", "wine glass"),
        )
    },
}
_RENAMED = {"bow tie": "tie", "toilet seat": "toilet"}


class ObjectTable:
    """Finds the objects that a caption names.

    Args:
        lines: One for each object: its name and further words for it, separated by commas. Of a
            word on several lines the last counts.
        source: What the table is, for reports.

    Raises:
        MetricError: A line begins with a comma, or there are none.
    """

    def __init__(self, lines: Iterable[str], source: str = TABLE) -> None:
        self.source = source
        self._objects: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            words = [" ".join(word.lower().split()) for word in line.split(",")]
            if not any(words):
                continue
            if not words[0]:
                raise MetricError(f"{source}, line {number}: there is no name before the comma")
            self._objects.update((word, words[0]) for word in words if word)
        if not self._objects:
            raise MetricError(f"{source} names no objects", hint="See docs/evaluation.md.")
        phrases = {word: word for word in self._objects if " " in word}
        self._phrases = _PAIRS | phrases | _RENAMED
        self._firsts = frozenset(phrase.partition(" ")[0] for phrase in self._phrases)
        self._known: dict[str, str] = {}
        self._longest = max(phrase.count(" ") + 1 for phrase in self._phrases)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a table; raise MetricError if that is impossible."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise MetricError(f"Cannot read {path}: {reason}") from error
        return cls(text.splitlines(), path.name)

    @property
    def names(self) -> frozenset[str]:
        """The objects."""
        return frozenset(self._objects.values())

    def named(self, word: str) -> str | None:
        """Return the object that a word or several words stand for, or None."""
        return self._objects.get(word.lower())

    def mentions(self, tokens: str) -> list[tuple[str, str]]:
        """Return the words of a tokenized caption that name objects, each with its object."""
        words = self._joined(tokens.split())
        # Not a chair.
        if "toilet" in words and "seat" in words:
            words = [word for word in words if word != "seat"]
        return [(word, self._objects[word]) for word in words if word in self._objects]

    def _joined(self, words: Sequence[str]) -> list[str]:
        """Return singular words, with the phrases among them as one each, the longest first."""
        joined = []
        place = 0
        while place < len(words):
            for size in range(min(self._longest, len(words) - place), 1, -1):
                phrase = self._phrase(words[place : place + size])
                if phrase is not None:
                    joined.append(self._phrases[phrase])
                    place += size
                    break
            else:
                joined.append(self._singular(words[place]))
                place += 1
        return joined

    def _phrase(self, words: Sequence[str]) -> str | None:
        if words[0] not in self._firsts:
            return None
        first = " ".join(words[:-1])
        forms = (f"{first} {last}" for last in (words[-1], *wordnet().noun_bases(words[-1])))
        return next((form for form in forms if form in self._phrases), None)

    def _singular(self, word: str) -> str:
        known = self._known.get(word)
        if known is None:
            forms = (word, *wordnet().noun_bases(word))
            known = next((form for form in forms if form in self._objects), word)
            self._known[word] = known
        return known


@functools.cache
def coco_objects() -> ObjectTable:
    """Return the table that ships with capgen; it is read once."""
    file = resources.files("capgen.metrics") / "objects" / "coco_objects.txt"
    return ObjectTable(file.read_text(encoding="utf-8").splitlines())


@dataclass(frozen=True, kw_only=True)
class SceneObjects:
    """What there is in images, besides what the references name.

    Attributes:
        table: The objects and their words.
        present: Image id → objects that annotations mark in it; None without annotations.
        source: The annotations, for reports.
    """

    table: ObjectTable
    present: Mapping[str, frozenset[str]] | None = field(default=None, repr=False)
    source: str = ""


def chair(corpus: Corpus, scene: SceneObjects) -> Integers:
    """Return (images, 2) integers: objects that the caption names and the image lacks, and all.

    An object that is named twice counts twice.
    """
    references = corpus.by_image(corpus.reference_tokens)
    counts = np.zeros((len(corpus), 2), np.int64)
    for row, (image_id, caption) in enumerate(
        zip(corpus.image_ids, corpus.prediction_tokens, strict=True)
    ):
        named = [name for _, name in scene.table.mentions(caption)]
        if named:
            there = set((scene.present or {}).get(image_id, ()))
            there.update(_names(scene.table, references[row]))
            counts[row] = sum(name not in there for name in named), len(named)
    return counts


def _names(table: ObjectTable, captions: Iterable[str]) -> Iterator[str]:
    for caption in captions:
        yield from (name for _, name in table.mentions(caption))
