"""How much the several captions of one image differ: self-CIDEr, mBLEU-4, distinct-1 and -2.

self-CIDEr: Wang and Chan, "Describing like humans: on diversity in image captioning" (CVPR 2019),
with CIDEr-D as the similarity, as in the authors' program. mBLEU-4, the mean BLEU-4 of each
caption with the others as references, as there; it is lower for captions that differ.
distinct-n of an image's captions, averaged over images: Shetty et al., "Speaking the same
language" (ICCV 2017), after Li et al., "A diversity-promoting objective function" (NAACL 2016).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

import capgen.metrics.bleu as bleu
import capgen.metrics.cider as cider
from capgen.errors import MetricError
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.corpus import Corpus, Floats
from capgen.metrics.tokenizers import Tokenizer

SELF_CIDER_NAME = "self-CIDEr"
MBLEU_NAME = "mBLEU-4"
DISTINCT_NAMES = ("distinct-1 (n-best)", "distinct-2 (n-best)")


def n_best_scores(
    corpus: Corpus,
    alternatives: Mapping[str, Sequence[str]],
    frequencies: DocumentFrequencies | None = None,
) -> dict[str, Floats]:
    """Return the (images,) scores by name.

    Args:
        corpus: The captions that are scored, with references.
        alternatives: Image id → its further captions. An image without any has no diversity:
            0, and an mBLEU-4 of 1.
        frequencies: Document frequencies for self-CIDEr; by default those of the references.

    Raises:
        MetricError: No image has more than one caption.
    """
    tokenize = corpus.tokenizer.tokenize
    known = dict(zip(corpus.predictions, corpus.prediction_tokens, strict=True))
    groups = [
        [first, *(known.get(text) or tokenize(text) for text in alternatives.get(image_id, ()))]
        for image_id, first in zip(corpus.image_ids, corpus.prediction_tokens, strict=True)
    ]
    if all(len(group) == 1 for group in groups):
        raise MetricError(
            "Diversity is that of several captions per image, and every image has only one",
            hint="Caption with --num-captions, or give predictions that have `alternatives`.",
        )
    if frequencies is None:
        references = corpus.by_image(corpus.reference_tokens)
        frequencies = DocumentFrequencies.from_tokens(references, tokenizer=corpus.tokenizer.name)
    return {
        SELF_CIDER_NAME: self_cider(groups, frequencies, corpus.tokenizer),
        MBLEU_NAME: mbleu_4(groups, corpus.tokenizer),
        **{
            name: np.array([distinct(group, size) for group in groups])
            for size, name in enumerate(DISTINCT_NAMES, start=1)
        },
    }


def self_cider(
    groups: Sequence[Sequence[str]],
    frequencies: DocumentFrequencies,
    tokenizer: Tokenizer | None = None,
) -> Floats:
    """Return the (images,) diversities of tokenized captions, 0 (all the same) to 1.

    Of the matrix of similarities between n captions with the singular values s, the diversity is
    the negative logarithm to the base n of √s₁ / Σ √sᵢ. Captions with no similarity even to
    themselves (without words, or with words of every image only) count as all the same.
    """
    pairs = [list(itertools.combinations_with_replacement(group, 2)) for group in groups]
    flat = list(itertools.chain.from_iterable(pairs))
    predictions, references = [first for first, _ in flat], [[second] for _, second in flat]
    compared = Corpus.of_tokens(predictions, references, tokenizer)
    similarities = cider.cider_d_pairs(compared, frequencies)
    diversities = np.zeros(len(groups))
    end = 0
    for image, (group, own) in enumerate(zip(groups, pairs, strict=True)):
        start, end = end, end + len(own)
        size = len(group)
        matrix = np.zeros((size, size))
        matrix[np.triu_indices(size)] = similarities[start:end]
        matrix = np.triu(matrix) + np.triu(matrix, 1).T
        roots = np.sqrt(np.linalg.svd(matrix, compute_uv=False))
        if size > 1 and roots.sum():
            # At least 0: rounding may leave a little less.
            diversities[image] = max(0.0, -np.log(roots[0] / roots.sum()) / np.log(size))
    return diversities


def mbleu_4(groups: Sequence[Sequence[str]], tokenizer: Tokenizer | None = None) -> Floats:
    """Return the (images,) means of the BLEU-4 of each caption with the image's others."""
    means = np.ones(len(groups))
    several = [image for image, group in enumerate(groups) if len(group) > 1]
    captions, others, image_of = [], [], []
    for image in several:
        for place, caption in enumerate(groups[image]):
            captions.append(caption)
            others.append([*groups[image][:place], *groups[image][place + 1 :]])
            image_of.append(image)
    if several:
        statistics = bleu.bleu_statistics(Corpus.of_tokens(captions, others, tokenizer))
        scores = bleu.bleu_scores(statistics)[:, -1]
        totals = np.bincount(image_of, weights=scores, minlength=len(groups))
        means[several] = totals[several] / np.bincount(image_of)[several]
    return means


def distinct(captions: Iterable[str], size: int) -> float:
    """Return the different n-grams of tokenized captions divided by all of them; 0 without any."""
    ngrams = [
        tuple(words[start : start + size])
        for words in map(str.split, captions)
        for start in range(len(words) - size + 1)
    ]
    return len(set(ngrams)) / max(len(ngrams), 1)
