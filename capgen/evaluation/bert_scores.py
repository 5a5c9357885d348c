"""How captions match their references in a BERT, computed in batches and kept by content.

A text is known by its SHA-256, a model by its commit or the hash of its files, and the layer.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, groupby
from typing import TYPE_CHECKING

from capgen.cache_folders import BERT_SCORES
from capgen.errors import MetricError
from capgen.evaluation.events import FeaturesComputed
from capgen.metrics.bertscore import VERSION, BertModel, BertScores, Tokens, token_match

if TYPE_CHECKING:
    from capgen.models.token_encoder import TokenEncoder

logger = logging.getLogger(__name__)

Pair = tuple[str, str]
Match = tuple[float, float, float]
_TABLE = (
    "scores (model TEXT, pair BLOB, precision REAL, recall REAL, f1 REAL,"
    " PRIMARY KEY (model, pair))"
)
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
        MetricError: The model does not know the language.
    """
    from capgen.models.resolve import resolve_model

    folder = resolve_model(model.name)
    wanted = {
        (caption, reference): _digest(caption, reference)
        for image_id, caption in captions.items()
        for reference in references[image_id]
    }
    key = f"{folder.fingerprint} L{model.layer}"
    with BERT_SCORES.database(_TABLE) as store:
        known = _recall(store, key, list(wanted.values()))
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
                _remember(store, key, fresh)
                known |= fresh
                yield FeaturesComputed(done=start + len(pairs), total=len(new), what="BERT")
    import transformers

    made = f"{model.code}_version={VERSION}(hug_trans={transformers.__version__})"
    return BertScores(
        model=f"{made}; {model.name} ({folder.fingerprint})",
        pairs={pair: known[digest] for pair, digest in wanted.items()},
    )


def _matches(encoder: TokenEncoder, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Match]]:
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
        yield (caption, reference), token_match(read[caption], read[reference])


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


def _digest(caption: str, reference: str) -> bytes:
    """Return what a pair is known by in the cache."""
    parts = (text.encode("utf-8", "replace") for text in (caption, reference))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def _recall(
    store: sqlite3.Connection | None, model: str, keys: Sequence[bytes]
) -> dict[bytes, Match]:
    known: dict[bytes, Match] = {}
    for start in range(0, len(keys) if store is not None else 0, 500):
        part = keys[start : start + 500]
        which = f"model=? AND pair IN ({','.join('?' * len(part))})"
        query = f"SELECT pair, precision, recall, f1 FROM scores WHERE {which}"
        with suppress(sqlite3.Error):
            rows = store.execute(query, [model, *part]).fetchall()  # type: ignore[union-attr]
            known |= {pair: (precision, recall, f1) for pair, precision, recall, f1 in rows}
    return known


def _remember(store: sqlite3.Connection | None, model: str, fresh: Mapping[bytes, Match]) -> None:
    if store is None:
        return
    with suppress(sqlite3.Error), store:  # a full disk or a busy database costs no result
        store.executemany(
            "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?)",
            [(model, pair, *match) for pair, match in fresh.items()],
        )
