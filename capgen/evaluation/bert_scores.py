"""How captions match their references in a BERT, computed in batches and kept by content.

A text is known by its SHA-256, a model by its commit or the hash of its files, its layer and the
version of transformers, which reports name.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import TYPE_CHECKING

import numpy as np

from capgen.cache_folders import BERT_SCORES
from capgen.errors import MetricError
from capgen.evaluation.events import FeaturesComputed
from capgen.evaluation.kept_vectors import Vector, kept_vectors
from capgen.metrics.bertscore import VERSION, BertModel, BertScores, Tokens, token_match

if TYPE_CHECKING:
    from capgen.models.token_encoder import TokenEncoder

logger = logging.getLogger(__name__)

Pair = tuple[str, str]
# The vectors of so many captions and their references are in memory at a time.
_PAIRS_AT_ONCE, _TEXTS_AT_ONCE = 512, 64
# A model of the right languages knows nearly all tokens; of Khmer, multilingual BERT knows none.
_MOST_UNKNOWN = 0.2


def match_captions(
    model: BertModel,
    captions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    *,
    device: str = "auto",
) -> Generator[FeaturesComputed, None, BertScores]:
    """Yield progress and return how captions match their references.

    What is in the cache is not computed again.

    Args:
        model: The model, and the layer to compare.
        captions: Image id → caption.
        references: Image id → references.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        ModelError, NetworkError: The model cannot be found or is not a text encoder.
        MetricError: The model does not know the language, or computes no numbers.
    """
    from capgen.models.resolve import resolve_model

    folder = resolve_model(model.name)
    wanted = {
        (caption, reference): _digest(caption, reference)
        for image_id, caption in captions.items()
        for reference in references[image_id]
    }
    import transformers

    made = f"{model.code}_version={VERSION}(hug_trans={transformers.__version__})"
    key = f"{made} {folder.fingerprint}"
    with kept_vectors(BERT_SCORES, "<f8") as kept:
        known = kept.recall(key, list(wanted.values()))
        new = [pair for pair, digest in wanted.items() if digest not in known]
        logger.debug("BERTScore: %d of %d pairs are new", len(new), len(wanted))
        if new:
            from capgen.models.token_encoder import TokenEncoder
            from capgen.models.torch_devices import choose_device

            encoder = TokenEncoder(folder, model.layer, choose_device(device))
            _check_known(encoder, model, new)
            yield FeaturesComputed(done=0, total=len(new), what="BERT")
            for start in range(0, len(new), _PAIRS_AT_ONCE):
                pairs = new[start : start + _PAIRS_AT_ONCE]
                fresh = {wanted[pair]: match for pair, match in _matches(encoder, pairs)}
                _check_numbers(fresh, model)
                kept.remember(key, fresh)
                known |= fresh
                yield FeaturesComputed(done=start + len(pairs), total=len(new), what="BERT")
    return BertScores(
        model=f"{made}; {model.name} ({folder.fingerprint})",
        pairs={pair: known[digest] for pair, digest in wanted.items()},
    )


def _matches(encoder: TokenEncoder, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Vector]]:
    """Yield how well the texts of each pair match."""
    ids = {text: encoder.tokens(text) for text in dict.fromkeys(chain.from_iterable(pairs))}
    read: dict[str, Tokens] = {}
    # Texts of one length at a time: nothing is filled up, which would change the last digits.
    for _, alike in groupby(sorted(ids, key=lambda text: len(ids[text])), lambda t: len(ids[t])):
        texts = list(alike)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            vectors = encoder.encode([ids[text] for text in part])
            for text, rows in zip(part, vectors, strict=True):
                read[text] = Tokens(rows, encoder.counts(ids[text]))
    for caption, reference in pairs:
        yield (caption, reference), np.array(token_match(read[caption], read[reference]))


def _check_known(encoder: TokenEncoder, model: BertModel, pairs: Sequence[Pair]) -> None:
    """Raise MetricError if a model has no tokens for the references."""
    read = [encoder.tokens(text) for text in dict.fromkeys(text for _, text in pairs)]
    share = sum(map(encoder.unknown, read)) / sum(map(len, read))
    if share > _MOST_UNKNOWN:
        raise MetricError(
            f"{model.title} does not know the language of the references: it has no token for "
            f"{share:.0%} of them",
            hint="Name another with --bert-model.",
        )


def _check_numbers(fresh: Mapping[bytes, Vector], model: BertModel) -> None:
    """Raise MetricError if some scores are NaN or infinite."""
    if not all(np.isfinite(match).all() for match in fresh.values()):
        raise MetricError(
            f"{model.title} computes scores that are no numbers",
            hint="Its weights are damaged. Use another --bert-model.",
        )


def _digest(caption: str, reference: str) -> bytes:
    """Return what a pair is known by in the cache."""
    parts = (text.encode("utf-8", "replace") for text in (caption, reference))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
