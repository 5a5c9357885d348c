"""CIDEr-D, as the official COCO caption scorer's class `Cider` computes it.

Vedantam et al., "CIDEr: consensus-based image description evaluation" (CVPR 2015): the
cosine between the tf-idf vectors of a caption and of each reference, for n-grams of 1 to 4
words, with counts clipped and a Gaussian penalty on the difference of lengths (σ = 6).
"""

from __future__ import annotations

import hashlib
import json
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

_SIGMA = 6.0
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
        counts: Counter[str] = Counter()
        documents = 0
        for captions in references:
            documents += 1
            ngrams = set()
            for caption in captions:
                words = tokenizer.tokenize(caption).split()
                for size in range(1, LONGEST_NGRAM + 1):
                    for start in range(len(words) - size + 1):
                        ngrams.add(" ".join(words[start : start + size]))
            counts.update(ngrams)
        return cls(documents, counts, source, tokenizer.name)

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
    images = len(corpus)
    documents = images if frequencies is None else frequencies.documents
    similarity = np.zeros(len(corpus.reference_tokens))
    for table in corpus.ngrams:
        if frequencies is None:
            frequency = np.bincount(table.pair_key % max(table.kinds, 1), minlength=table.kinds)
        else:
            frequency = _look_up(corpus, table, frequencies)
        weight = np.log(documents) - np.log(np.maximum(frequency, 1))
        similarity += _similarity(corpus, table, table.count * weight[table.ngram])
    # The official scorer measures length in word pairs.
    pairs = np.maximum(corpus.lengths - 1, 0)
    difference = pairs[:images][corpus.reference_image] - pairs[images:]
    similarity *= np.exp(-(difference**2) / (2 * _SIGMA**2))
    totals = np.add.reduceat(similarity, corpus.first_reference)
    references = np.bincount(corpus.reference_image)
    scores: Floats = 10 * totals / LONGEST_NGRAM / references
    return scores


def _similarity(corpus: Corpus, table: NgramCounts, weight: Floats) -> Floats:
    """Return the (references,) clipped cosines, given the (rows,) tf-idf weights."""
    images, references = len(corpus), len(corpus.reference_tokens)
    norm = np.sqrt(np.bincount(table.caption, weights=weight**2, minlength=images + references))
    reference, prediction = find(table.key[: table.predicted], table.key[table.predicted :])
    reference += table.predicted
    product = np.minimum(weight[prediction], weight[reference]) * weight[reference]
    overlap = np.bincount(table.caption[reference] - images, weights=product, minlength=references)
    scale = norm[:images][corpus.reference_image] * norm[images:]
    cosine: Floats = np.divide(overlap, scale, out=np.zeros(references), where=scale != 0)
    return cosine


def _look_up(corpus: Corpus, table: NgramCounts, frequencies: DocumentFrequencies) -> Integers:
    counts, text = frequencies.counts, corpus.text
    ngrams = (" ".join(text[start : start + table.size]) for start in table.start)
    return np.fromiter((counts.get(ngram, 0) for ngram in ngrams), np.int64, table.kinds)
