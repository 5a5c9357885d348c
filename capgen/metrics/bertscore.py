"""BERTScore: how well the tokens of a caption and a reference match, in the vectors of a BERT.

Zhang et al., "BERTScore: Evaluating Text Generation with BERT" (ICLR 2020), without weights by
document frequency and without rescaling, which are the defaults of the authors' package
`bert-score` (0.3.13), whose numbers these are. The vectors come from elsewhere
(`capgen.evaluation.bert_scores`): this is arithmetic, and the package's choice of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from capgen.errors import UsageError
from capgen.metrics.corpus import Corpus, Floats
from capgen.metrics.readable import is_english

NAMES = ("BERTScore-P", "BERTScore-R", "BERTScore-F1")
# What `bert-score` 0.3.13 calls itself, so that it is in all reports of it.
VERSION = "0.3.12"


class BertModel(NamedTuple):
    """A model, and the layer of it that is compared.

    Attributes:
        name: A folder or a Hub id.
        layer: How many layers the text goes through.
        title: What `bert-score` calls it, or else its name.
    """

    name: str
    layer: int
    title: str

    @property
    def code(self) -> str:
        """Names the settings as `bert-score` does, as in `roberta-large_L17_no-idf`."""
        return f"{self.title}_L{self.layer}_no-idf"


# Name in `bert-score` → account on the Hub (the package uses names from before there were any),
# and the layer: the one that correlates best with people on WMT16.
_MODELS = {
    "roberta-large": ("FacebookAI/", 17),
    "roberta-base": ("FacebookAI/", 10),
    "roberta-large-mnli": ("FacebookAI/", 19),
    "xlm-roberta-base": ("FacebookAI/", 9),
    "xlm-roberta-large": ("FacebookAI/", 17),
    "bert-base-uncased": ("google-bert/", 9),
    "bert-large-uncased": ("google-bert/", 18),
    "bert-base-multilingual-cased": ("google-bert/", 9),
    "bert-base-chinese": ("google-bert/", 8),
    "distilroberta-base": ("distilbert/", 5),
    "distilbert-base-uncased": ("distilbert/", 5),
    "distilbert-base-multilingual-cased": ("distilbert/", 5),
    "dbmdz/bert-base-turkish-cased": ("", 10),
    "allenai/scibert_scivocab_uncased": ("", 8),
    "microsoft/mpnet-base": ("", 8),
    "google/electra-base-discriminator": ("", 9),
    "google/electra-large-discriminator": ("", 14),
    "princeton-nlp/sup-simcse-roberta-large": ("", 16),
}
_OF_LANGUAGE = {
    "en": "roberta-large",
    "zh": "bert-base-chinese",
    "tr": "dbmdz/bert-base-turkish-cased",
}
_OF_OTHERS = "bert-base-multilingual-cased"


def bert_model(language: str, name: str = "", layer: int | None = None) -> BertModel:
    """Return the model that captions are compared with.

    Args:
        language: The captions' language as in BCP 47; empty is taken for English.
        name: A model in place of that of the language: a name in `bert-score`, a Hub id or a
            folder, whose own name tells which model it is.
        layer: The layer, in place of the one that `bert-score` takes.

    Raises:
        UsageError: It is not known which layer to take.
    """
    if not name:
        base = "en" if not language or is_english(language) else language.split("-")[0].lower()
        name = _OF_LANGUAGE.get(base, _OF_OTHERS)
    known = {f"{account}{title}": title for title, (account, _) in _MODELS.items()}
    bare = name.partition("@")[0]  # without a revision
    ending = bare.rstrip("/").replace("\\", "/").rpartition("/")[2]
    title = bare if bare in _MODELS else known.get(bare, ending if ending in _MODELS else "")
    if layer is None and not title:
        raise UsageError(
            f"It is not known which layer of {name} BERTScore compares",
            hint=f"Name it with --bert-layer, or take one of {', '.join(_MODELS)}.",
        )
    place = f"{_MODELS[bare][0]}{name}" if bare in _MODELS else name
    return BertModel(place, _MODELS[title][1] if layer is None else layer, title or name)


class Tokens(NamedTuple):
    """A text: the (tokens, width) vectors, and which of them are part of it, as booleans."""

    vectors: npt.NDArray[np.float32]
    counts: npt.NDArray[np.bool_]


def token_match(caption: Tokens, reference: Tokens) -> tuple[float, float, float]:
    """Return precision, recall and F1 of a caption: equation 1 of the paper.

    Marks of the start and the end can be the nearest to a token, but are not asked for. A text
    without words scores 0.
    """
    if not caption.counts.any() or not reference.counts.any():
        return 0.0, 0.0, 0.0
    cosines = _unit(caption.vectors) @ _unit(reference.vectors).T
    precision = float(cosines.max(axis=1)[caption.counts].mean())
    recall = float(cosines.max(axis=0)[reference.counts].mean())
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0


@dataclass(frozen=True, kw_only=True)
class BertScores:
    """How captions match their references.

    Attributes:
        model: The model, layer and version, for reports.
        pairs: Caption, reference → (3,) precision, recall, F1.
    """

    model: str
    pairs: Mapping[tuple[str, str], npt.NDArray[np.floating[Any]]] = field(repr=False)


def bert_scores(corpus: Corpus, found: BertScores) -> dict[str, Floats]:
    """Return the (images,) precisions, recalls and F1: each the best over the references."""
    rows = [
        np.max([found.pairs[caption, reference] for reference in references], axis=0)
        for caption, references in zip(corpus.predictions, corpus.references, strict=True)
    ]
    return dict(zip(NAMES, np.array(rows, np.float64).T, strict=True))


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return vectors as rows of length 1."""
    unit: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
