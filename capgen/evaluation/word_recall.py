"""Which words models say and which they miss: by class of word, and by object.

A caption is asked for a word that at least two of its image's references have: what one person
mentions may be a matter of taste. Recall is the share of these words that the captions say;
precision the share of the words they say that at least one reference has.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from capgen.evaluation.result import Evaluation
from capgen.evaluation.word_classes import CLASSES, OBJECTS, class_of
from capgen.metrics.bootstrap import LEVEL, Interval, resamples
from capgen.metrics.corpus import Floats
from capgen.metrics.ptb.tokenizer import tokenize
from capgen.metrics.readable import is_english

# A word counts for an image if so many of its references have it.
NEEDED = 2
# Objects of fewer images say little about a model.
LEAST_IMAGES = 5
# All are in memory at once; two digits of a share need no more.
_MOST_RESAMPLES = 1000

Word = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class WordRecall:
    """How often models say the words of a class, or one object.

    Attributes:
        name: The class, or the object.
        asked: How many words of images they were asked for; of one object, how many images.
        recall: Of each model, the share that it says: with a bootstrap interval over images for
            a class, and Wilson's interval for an object.
        precision: Of each model, the share of what it says that a reference has; None if it
            says none.
        difference: Of each model but the first, the first's recall minus its own, with a paired
            bootstrap interval over images.
    """

    name: str
    asked: int
    recall: tuple[Interval, ...]
    precision: tuple[float | None, ...]
    difference: tuple[Interval, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as built-in types."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class WordRecalls:
    """What each of some models says, over the same images.

    Attributes:
        names: The models.
        images: Number of images.
        classes: The classes of words that were asked for.
        objects: The objects of at least `LEAST_IMAGES` images, the most frequent first.
    """

    names: tuple[str, ...]
    images: int
    classes: tuple[WordRecall, ...]
    objects: tuple[WordRecall, ...]

    def missed(self, model: int, count: int) -> list[WordRecall]:
        """Return the objects that a model misses on the most images, with the most first."""

        def misses(item: WordRecall) -> float:
            return item.asked * (1 - item.recall[model].value)

        return [
            item for item in sorted(self.objects, key=misses, reverse=True) if misses(item) > 0.5
        ][:count]

    def said_better(self, other: int, count: int, *, by_first: bool) -> list[WordRecall]:
        """Return the objects that the first model says on the most more images than another.

        Args:
            other: The other model, counted from 0.
            count: Return at most so many.
            by_first: Whether the first says them more often, or the other does.
        """

        def gain(item: WordRecall) -> float:
            gained = item.asked * item.difference[other - 1].value
            return gained if by_first else -gained

        ordered = sorted(self.objects, key=gain, reverse=True)
        return [item for item in ordered if gain(item) > 0.5][:count]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "models": list(self.names),
            "images": self.images,
            "references_needed": NEEDED,
            "classes": [item.to_dict() for item in self.classes],
            "objects": [item.to_dict() for item in self.objects],
        }


def word_recalls(evaluations: Sequence[Evaluation]) -> WordRecalls | None:
    """Return which words some models say, over the images that all of them captioned.

    Args:
        evaluations: Their evaluations, on the same data.

    Returns:
        None if the captions are not in English, or no word was asked for.
    """
    first = evaluations[0]
    language = first.scores.stamp.language
    if language and not is_english(language):
        return None
    shared = set.intersection(*(set(one.captions) for one in evaluations))
    images = [image for image in first.captions if image in shared]
    asked = [_asked(first.data.by_id[image].references) for image in images]
    if not any(words for words, _ in asked):
        return None
    said = [[_words(one.captions[image]) for image in images] for one in evaluations]
    counts = _Counts(asked, said)
    config = first.config
    samples = min(config.resamples, _MOST_RESAMPLES)
    drawn = np.concatenate(list(resamples(len(images), samples, config.report_seed)))
    frequent = Counter(word for words, _ in asked for word in words if word[0] == OBJECTS)
    objects = [word for word, n in frequent.most_common() if n >= LEAST_IMAGES]
    classes = [counts.of_class(name, drawn) for name in CLASSES]
    return WordRecalls(
        names=tuple(one.name for one in evaluations),
        images=len(images),
        classes=tuple(item for item in classes if item is not None),
        objects=tuple(counts.of_objects(objects, drawn)),
    )


class _Counts:
    """What images ask for, and what each model says of them.

    Args:
        asked: Of each image, the words asked for and all those that its references have.
        said: Of each model and image, the words of its caption.
    """

    def __init__(
        self,
        asked: Sequence[tuple[frozenset[Word], frozenset[Word]]],
        said: Sequence[Sequence[frozenset[Word]]],
    ) -> None:
        self._asked = [words for words, _ in asked]
        self._named = [words for _, words in asked]
        self._said = said

    def of_class(self, name: str, drawn: Floats) -> WordRecall | None:
        """Return the recall of a class of words, given (resamples, images) draws."""
        asked = np.array([_count(words, name) for words in self._asked])
        if not asked.any():
            return None
        right = [
            np.array([_count(a & s, name) for a, s in zip(self._asked, said, strict=True)])
            for said in self._said
        ]
        # A resample may be asked for nothing.
        size = np.maximum(drawn @ asked, 1)
        shares = [(drawn @ found) / size for found in right]
        values = [float(found.sum() / asked.sum()) for found in right]
        return WordRecall(
            name=name,
            asked=int(asked.sum()),
            recall=tuple(map(_interval, values, shares)),
            precision=tuple(
                self._precision([{w for w in words if w[0] == name} for words in said])
                for said in self._said
            ),
            difference=tuple(
                _interval(values[0] - value, shares[0] - share)
                for value, share in zip(values[1:], shares[1:], strict=True)
            ),
        )

    def of_objects(self, objects: Sequence[Word], drawn: Floats) -> list[WordRecall]:
        """Return the recall of each of some objects."""
        asked = self._matrix(self._asked, objects)
        size = np.maximum(drawn @ asked, 1)
        right = [self._matrix(said, objects) * asked for said in self._said]
        shares = [(drawn @ found) / size for found in right]
        found = []
        for column, word in enumerate(objects):
            images = int(asked[:, column].sum())
            hits = [int(each[:, column].sum()) for each in right]
            found.append(
                WordRecall(
                    name=word[1],
                    asked=images,
                    recall=tuple(wilson(hit, images) for hit in hits),
                    precision=tuple(
                        self._precision([words & {word} for words in said]) for said in self._said
                    ),
                    difference=tuple(
                        _interval((hits[0] - hit) / images, shares[0][:, column] - share[:, column])
                        for hit, share in zip(hits[1:], shares[1:], strict=True)
                    ),
                )
            )
        return found

    def _precision(self, said: Sequence[Iterable[Word]]) -> float | None:
        pairs = [
            (word, named) for words, named in zip(said, self._named, strict=True) for word in words
        ]
        return sum(word in named for word, named in pairs) / len(pairs) if pairs else None

    @staticmethod
    def _matrix(words: Sequence[frozenset[Word]], columns: Sequence[Word]) -> Floats:
        """Return an (images, columns) array: which image has which word."""
        place = {word: column for column, word in enumerate(columns)}
        found = np.zeros((len(words), len(columns)))
        for row, each in enumerate(words):
            for word in each:
                if word in place:
                    found[row, place[word]] = 1
        return found


def wilson(hits: int, total: int, level: float = LEVEL) -> Interval:
    """Return a share with the score interval of Wilson (1927), which suits few trials, too."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    spread = share * (1 - share) / total + z * z / (4 * total * total)
    margin = z / (1 + z * z / total) * math.sqrt(spread)
    low, high = max(0.0, middle - margin), min(1.0, middle + margin)
    return Interval(value=share, low=min(low, share), high=max(high, share), level=level)


def _interval(value: float, resampled: Floats) -> Interval:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=float(low), high=float(high), level=LEVEL)


def _asked(references: Sequence[str]) -> tuple[frozenset[Word], frozenset[Word]]:
    """Return the words that enough references have, and those that any has."""
    counts = Counter(word for reference in references for word in _words(reference))
    return frozenset(word for word, n in counts.items() if n >= NEEDED), frozenset(counts)


def _words(caption: str) -> frozenset[Word]:
    return frozenset(filter(None, map(class_of, tokenize(caption).split())))


def _count(words: Iterable[Word], name: str) -> int:
    return sum(kind == name for kind, _ in words)
