"""Predictions and references, tokenized and counted once for all metrics."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from capgen.errors import MetricError
from capgen.metrics.tokenizers import PTB, Tokenizer
from capgen.metrics.tokenizers import tokenizer as tokenizer_of

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LONGEST_NGRAM = 4

T = TypeVar("T")


@dataclass(frozen=True)
class NgramCounts:
    """How often each n-gram of one length occurs in each caption.

    A row is an n-gram in a caption; rows are sorted by caption and n-gram, with the
    predictions before the references. A pair is an n-gram in the references of an image;
    pairs are sorted by image and n-gram.

    Attributes:
        size: Number of words in an n-gram.
        kinds: Number of distinct n-grams.
        start: (kinds,) index of a word, in the text of all captions, where the n-gram begins.
        predicted: Number of rows of predictions.
        caption: (rows,) the caption: predictions in image order, then all references.
        ngram: (rows,) the n-gram, counted from 0.
        count: (rows,) how often it occurs in the caption.
        key: (rows,) the image of the caption times `kinds`, plus the n-gram.
        pair_key: (pairs,) the image times `kinds`, plus the n-gram.
        pair_most: (pairs,) the highest count in a single reference of the image.
    """

    size: int
    kinds: int
    start: Integers
    predicted: int
    caption: Integers
    ngram: Integers
    count: Integers
    key: Integers
    pair_key: Integers
    pair_most: Integers


class Corpus:
    """The captions to score.

    Args:
        predictions: One caption for each image.
        references: At least one human caption for each image.
        tokenizer: How captions become tokens; by default as in the COCO scorers.

    Raises:
        MetricError: The ids differ, references are missing, or a caption is not a string.

    Attributes:
        tokenizer: How captions become tokens.
        image_ids: The images, in the order of `predictions`.
        predictions: Their captions as given.
        references: Their references as given.
        prediction_tokens: The tokens of each prediction, joined by spaces.
        reference_tokens: The tokens of each reference, image by image.
        reference_image: (references,) the index of each reference's image.
        first_reference: (images,) the index of each image's first reference.
    """

    def __init__(
        self,
        predictions: Mapping[str, str],
        references: Mapping[str, Sequence[str]],
        tokenizer: Tokenizer | None = None,
    ) -> None:
        check_captions(predictions, references)
        self.tokenizer = tokenizer or tokenizer_of(PTB)
        tokenize = self.tokenizer.tokenize
        self.image_ids = tuple(predictions)
        self.predictions = tuple(predictions.values())
        self.references = tuple(tuple(references[name]) for name in self.image_ids)
        self.prediction_tokens = [tokenize(caption) for caption in self.predictions]
        self.reference_tokens = [tokenize(caption) for caption in chain(*self.references)]
        self._number()

    @classmethod
    def of_tokens(
        cls,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        tokenizer: Tokenizer | None = None,
    ) -> Self:
        """Return the corpus of captions that are tokenized already; images are numbered.

        Args:
            predictions: The tokens of each prediction, joined by spaces.
            references: The same for the references of each.
            tokenizer: What made the tokens; by default that of the COCO scorers.
        """
        corpus = cls.__new__(cls)
        corpus.tokenizer = tokenizer or tokenizer_of(PTB)
        corpus.image_ids = tuple(map(str, range(len(predictions))))
        corpus.predictions = tuple(predictions)
        corpus.references = tuple(map(tuple, references))
        corpus.prediction_tokens = list(predictions)
        corpus.reference_tokens = list(chain.from_iterable(references))
        corpus._number()
        return corpus

    def _number(self) -> None:
        sizes = np.array([len(captions) for captions in self.references])
        self.reference_image: Integers = np.repeat(np.arange(len(sizes)), sizes)
        self.first_reference: Integers = np.cumsum(sizes) - sizes

    def __len__(self) -> int:
        return len(self.image_ids)

    def by_image(self, values: Sequence[T]) -> list[Sequence[T]]:
        """Return the values, one per reference, grouped by image."""
        ends = [*self.first_reference[1:].tolist(), len(values)]
        starts = self.first_reference.tolist()
        return [values[start:end] for start, end in zip(starts, ends, strict=True)]

    @functools.cached_property
    def words(self) -> list[list[str]]:
        """The words of the predictions, then of the references."""
        return [line.split() for line in chain(self.prediction_tokens, self.reference_tokens)]

    @functools.cached_property
    def lengths(self) -> Integers:
        """(captions,) number of words of the predictions, then of the references."""
        return np.array([len(words) for words in self.words])

    @functools.cached_property
    def text(self) -> list[str]:
        """All words of all captions, in order."""
        return list(chain.from_iterable(self.words))

    @functools.cached_property
    def ngrams(self) -> tuple[NgramCounts, ...]:
        """The counts of n-grams of 1 to 4 words."""
        vocabulary = {word: number for number, word in enumerate(dict.fromkeys(self.text))}
        word = np.fromiter(map(vocabulary.__getitem__, self.text), np.int64, len(self.text))
        caption = np.repeat(np.arange(len(self.lengths)), self.lengths)
        start = np.arange(len(word))
        ngram = np.zeros_like(word)
        tables = []
        for size in range(1, LONGEST_NGRAM + 1):
            # Keep n-grams that do not extend into the next caption.
            inside = start + size <= len(word)
            inside[inside] = caption[start[inside]] == caption[start[inside] + size - 1]
            start, ngram = start[inside], ngram[inside]
            longer = ngram * len(vocabulary) + word[start + size - 1]
            _, first, ngram = np.unique(longer, return_index=True, return_inverse=True)
            tables.append(self._counts(size, start[first], caption[start], ngram))
        return tuple(tables)

    def _counts(
        self, size: int, start: Integers, caption: Integers, ngram: Integers
    ) -> NgramCounts:
        """Count n-grams, given the start of each kind, and the caption and kind of each one."""
        kinds = len(start)
        rows, count = np.unique(caption * kinds + ngram, return_counts=True)
        caption, ngram = np.divmod(rows, max(kinds, 1))
        predicted = int(np.searchsorted(caption, len(self)))
        image = np.concatenate([np.arange(len(self)), self.reference_image])[caption]
        key = image * kinds + ngram
        # Pairs sort by image, n-gram and count; the last of each has the highest count.
        base = int(count.max(initial=0)) + 1
        pairs = np.sort(key[predicted:] * base + count[predicted:], kind="stable")
        pair_key, pair_most = np.divmod(pairs, base)
        last = np.flatnonzero(np.diff(pair_key, append=-1))
        return NgramCounts(
            size=size,
            kinds=kinds,
            start=start,
            predicted=predicted,
            caption=caption,
            ngram=ngram,
            count=count,
            key=key,
            pair_key=pair_key[last],
            pair_most=pair_most[last],
        )


def check_captions(predictions: Mapping[str, str], references: Mapping[str, Any]) -> None:
    """Check that both sides have the same images and that all captions are strings."""
    if not predictions:
        raise MetricError("There are no predictions to score")
    missing = [name for name in predictions if name not in references]
    if missing:
        raise MetricError(
            f"No references for {some_images(missing)}",
            hint="The image ids of predictions and references must be the same.",
        )
    extra = [name for name in references if name not in predictions]
    if extra:
        raise MetricError(
            f"No prediction for {some_images(extra)}",
            hint="Score the whole set, or leave the other images out of the references.",
        )
    bad = [name for name, caption in predictions.items() if not isinstance(caption, str)]
    if bad:
        raise MetricError(f"The prediction is not a string for {some_images(bad)}")
    # In this order: each check relies on those before it.
    faults: tuple[tuple[str, Callable[[Any], bool]], ...] = (
        # A bare string would pass for a sequence of one-letter captions.
        ("The references are one string, not a list,", lambda texts: isinstance(texts, str)),
        ("The references are not a list", lambda texts: not isinstance(texts, Sequence)),
        ("The list of references is empty", lambda texts: not texts),
        (
            "A reference is not a string",
            lambda texts: not all(isinstance(text, str) for text in texts),
        ),
    )
    for fault, applies in faults:
        bad = [name for name, captions in references.items() if applies(captions)]
        if bad:
            raise MetricError(f"{fault} for {some_images(bad)}")


def some_images(names: Sequence[object], most: int = 5) -> str:
    """Return the number of images, and the names of the first few in parentheses."""
    shown = ", ".join(map(repr, names[:most])) + (", …" if len(names) > most else "")
    return f"{len(names)} {'image' if len(names) == 1 else 'images'} ({shown})"
