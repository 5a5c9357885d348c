"""CIDEr-D, as the official COCO caption scorer's class `Cider` computes it; CIDEr and CIDEr-R.

Vedantam et al., "CIDEr: consensus-based image description evaluation" (CVPR 2015): the
cosine between the tf-idf vectors of a caption and of each reference, for n-grams of 1 to 4
words. CIDEr-D clips counts and has a Gaussian penalty on the difference of lengths (σ = 6).

CIDEr-R: Santos, Colombini and Avila, "CIDEr-R: robust consensus-based image description
evaluation" (W-NUT 2021): clipped as CIDEr-D, with other penalties: on the difference of lengths
relative to the reference's, and on words said more often than in the reference.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from capgen.errors import MetricError
from capgen.json_files import read_json
from capgen.metrics.bleu import find
from capgen.metrics.corpus import LONGEST_NGRAM, Corpus, Floats, Integers, NgramCounts
from capgen.metrics.ptb.tokenizer import TOKENIZER
from capgen.metrics.tokenizers import PTB, Tokenizer
from capgen.metrics.tokenizers import tokenizer as tokenizer_of
from capgen.paths import write_text

NAME = "CIDEr-D"
PLAIN_NAME = "CIDEr"
ROBUST_NAME = "CIDEr-R"

_SIGMA = 6.0
# Exponents of CIDEr-R's penalties on repetition and length, which sum to 1.
_REPETITION, _LENGTH = 0.8, 0.2
_WORD = re.compile(r"\w+")
_FORMAT = "capgen document frequencies"


@dataclass(frozen=True)
class DocumentFrequencies:
    """In how many images of a data set the references contain each n-gram.

    Attributes:
        documents: Number of images.
        counts: N-gram (its words joined by spaces) → number of images.
        source: What was counted, for reports.
        tokenizer: Name of the tokenizer that made the n-grams' words.
    """

    documents: int
    counts: Mapping[str, int]
    source: str = ""
    tokenizer: str = TOKENIZER

    @classmethod
    def from_references(
        cls,
        references: Iterable[Sequence[str]],
        *,
        source: str = "",
        tokenizer: Tokenizer | None = None,
    ) -> DocumentFrequencies:
        """Count the n-grams in the references of each image; by default with PTB's tokens."""
        tokenizer = tokenizer or tokenizer_of(PTB)
        tokens = (list(map(tokenizer.tokenize, captions)) for captions in references)
        return cls.from_tokens(tokens, source=source, tokenizer=tokenizer.name)

    @classmethod
    def from_tokens(
        cls, references: Iterable[Sequence[str]], *, source: str = "", tokenizer: str = TOKENIZER
    ) -> DocumentFrequencies:
        """Count the n-grams in the references of each image, given their tokens.

        Args:
            references: The captions of each image, as tokens joined by spaces.
            source: What was counted, for reports.
            tokenizer: Name of the tokenizer.
        """
        counts: Counter[str] = Counter()
        documents = 0
        for captions in references:
            documents += 1
            ngrams = set()
            for caption in captions:
                words = caption.split()
                for size in range(1, LONGEST_NGRAM + 1):
                    for start in range(len(words) - size + 1):
                        ngrams.add(" ".join(words[start : start + size]))
            counts.update(ngrams)
        return cls(documents, counts, source, tokenizer)

    @property
    def digest(self) -> str:
        """A fingerprint of the counts."""
        content = json.dumps([self.documents, sorted(self.counts.items())])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write the table as JSON."""
        record = {
            "format": _FORMAT,
            "documents": self.documents,
            "source": self.source,
            "tokenizer": self.tokenizer,
            "counts": dict(self.counts),
        }
        write_text(path, json.dumps(record, ensure_ascii=False))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a table written by `save`; raise MetricError if the file is not a valid one."""
        record = read_json(path, MetricError)
        if record.get("format") != _FORMAT:
            raise MetricError(f"{path} is not a table of document frequencies")
        documents, counts = record.get("documents"), record.get("counts")
        if not isinstance(documents, int) or documents < 1 or not isinstance(counts, dict):
            raise MetricError(f"{path} is a damaged table of document frequencies")
        if not all(isinstance(count, int) and 0 < count <= documents for count in counts.values()):
            raise MetricError(f"{path} has a count that is not between 1 and {documents}")
        named = str(record.get("source", "")), str(record.get("tokenizer", TOKENIZER))
        return cls(documents, counts, *named)


def cider_d(corpus: Corpus, frequencies: DocumentFrequencies | None = None) -> Floats:
    """Return the (images,) CIDEr-D scores, between 0 and 10.

    By default the document frequencies are those of the corpus's references, as in COCO; with a
    single image all weights and scores are then 0.
    """
    return _over_references(corpus, _length_penalized(corpus, frequencies))


def cider_d_pairs(corpus: Corpus, frequencies: DocumentFrequencies | None = None) -> Floats:
    """Return the (references,) CIDEr-D scores of the predictions with each single reference."""
    pairs: Floats = 10 * _length_penalized(corpus, frequencies) / LONGEST_NGRAM
    return pairs


def cider(corpus: Corpus, frequencies: DocumentFrequencies | None = None) -> Floats:
    """Return the (images,) CIDEr scores, between 0 and 10.

    They are the paper's equation 2 times 10, as in the authors' program (vrama91/cider), and on
    the scale of CIDEr-D. As there, words are not stemmed.
    """
    return _over_references(corpus, _similarities(corpus, frequencies, clip=False))


def cider_r(corpus: Corpus, frequencies: DocumentFrequencies | None = None) -> Floats:
    """Return the (images,) CIDEr-R scores, between 0 and 10."""
    images = len(corpus)
    lengths = np.maximum(corpus.lengths, 1)
    theirs = lengths[images:]
    difference = lengths[:images][corpus.reference_image] - theirs
    penalty: Floats = np.exp(-_LENGTH * (difference / theirs) ** 2)
    penalty *= _repetition(corpus) ** _REPETITION
    return _over_references(corpus, penalty * _similarities(corpus, frequencies))


def _over_references(corpus: Corpus, similarity: Floats) -> Floats:
    """Return the (images,) means of (references,) sums of four similarities, 0 to 10."""
    totals = np.add.reduceat(similarity, corpus.first_reference)
    references = np.bincount(corpus.reference_image)
    means: Floats = 10 * totals / LONGEST_NGRAM / references
    return means


def _length_penalized(corpus: Corpus, frequencies: DocumentFrequencies | None) -> Floats:
    """Return the (references,) sums of clipped similarities times the penalty on length."""
    images = len(corpus)
    similarity = _similarities(corpus, frequencies)
    # The official scorer measures length in word pairs.
    pairs = np.maximum(corpus.lengths - 1, 0)
    difference = pairs[:images][corpus.reference_image] - pairs[images:]
    similarity *= np.exp(-(difference**2) / (2 * _SIGMA**2))
    return similarity


def _repetition(corpus: Corpus) -> Floats:
    """Return CIDEr-R's (references,) penalties on repetition, above 0 to 1.

    The geometric mean, over the different words of the prediction, of 1 / (1 + d): d is the
    difference of how often both say the word, or for a word that only the prediction says, how
    often it does beyond once.
    """
    # The authors' program takes PTB's tokens apart; other tokens are words.
    words_of = _WORD.findall if corpus.tokenizer.key == PTB else str.split
    said = [Counter(words_of(line)) for line in corpus.prediction_tokens]
    penalties = np.zeros(len(corpus.reference_tokens))
    pairs = zip(corpus.reference_image.tolist(), corpus.reference_tokens, strict=True)
    for row, (image, line) in enumerate(pairs):
        reference = Counter(words_of(line))
        counts = said[image]
        if counts:
            surplus = (abs(n - (reference[word] or 1)) for word, n in counts.items())
            total = sum(math.log1p(difference) for difference in surplus)
            penalties[row] = math.exp(-total / len(counts))
    return penalties


def _similarities(
    corpus: Corpus, frequencies: DocumentFrequencies | None, *, clip: bool = True
) -> Floats:
    """Return the (references,) cosines with the predictions, summed over 1- to 4-grams."""
    documents = len(corpus) if frequencies is None else frequencies.documents
    similarity = np.zeros(len(corpus.reference_tokens))
    for table in corpus.ngrams:
        if frequencies is None:
            frequency = np.bincount(table.pair_key % max(table.kinds, 1), minlength=table.kinds)
        else:
            frequency = _look_up(corpus, table, frequencies)
        weight = np.log(documents) - np.log(np.maximum(frequency, 1))
        similarity += _similarity(corpus, table, table.count * weight[table.ngram], clip)
    return similarity


def _similarity(corpus: Corpus, table: NgramCounts, weight: Floats, clip: bool) -> Floats:
    """Return the (references,) cosines, given the (rows,) tf-idf weights."""
    images, references = len(corpus), len(corpus.reference_tokens)
    norm = np.sqrt(np.bincount(table.caption, weights=weight**2, minlength=images + references))
    reference, prediction = find(table.key[: table.predicted], table.key[table.predicted :])
    reference += table.predicted
    ours = weight[prediction]
    product = (np.minimum(ours, weight[reference]) if clip else ours) * weight[reference]
    overlap = np.bincount(table.caption[reference] - images, weights=product, minlength=references)
    scale = norm[:images][corpus.reference_image] * norm[images:]
    cosine: Floats = np.divide(overlap, scale, out=np.zeros(references), where=scale != 0)
    return cosine


def _look_up(corpus: Corpus, table: NgramCounts, frequencies: DocumentFrequencies) -> Integers:
    counts, text = frequencies.counts, corpus.text
    ngrams = (" ".join(text[start : start + table.size]) for start in table.start)
    return np.fromiter((counts.get(ngram, 0) for ngram in ngrams), np.int64, table.kinds)
