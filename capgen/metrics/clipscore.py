"""CLIPScore and RefCLIPScore: how near a caption is to the image, in the features of a CLIP.

Hessel et al., "CLIPScore: a reference-free evaluation metric for image captioning" (EMNLP 2021).
The features come from elsewhere (`capgen.evaluation.clip_features`): this is arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from capgen.metrics.corpus import Corpus, Floats

NAME = "CLIPScore"
REFERENCE_NAME = "RefCLIPScore"
# What CLIP reads before each caption, predictions and references alike.
PREFIX = "A photo depicts "
_WEIGHT = 2.5


@dataclass(frozen=True, kw_only=True)
class ClipFeatures:
    """What a CLIP makes of images and captions.

    Attributes:
        model: The model, for reports.
        images: Image id → (width,) features, of any length but 0.
        texts: Caption, without the prefix → (width,) features.
    """

    model: str
    images: Mapping[str, npt.NDArray[np.float32]] = field(repr=False)
    texts: Mapping[str, npt.NDArray[np.float32]] = field(repr=False)


def clip_scores(corpus: Corpus, features: ClipFeatures) -> dict[str, Floats]:
    """Return the (images,) CLIPScores (2.5 max(cos, 0)) and RefCLIPScores.

    RefCLIPScore is the harmonic mean of CLIPScore and the highest cosine of the caption with a
    reference, 0 if that is negative.
    """
    images = _unit([features.images[image_id] for image_id in corpus.image_ids])
    captions = _unit([features.texts[caption] for caption in corpus.predictions])
    references = _unit([features.texts[text] for text in chain(*corpus.references)])
    scores = _WEIGHT * np.maximum((images * captions).sum(axis=1), 0)
    cosines = (captions[corpus.reference_image] * references).sum(axis=1)
    nearest = np.maximum(np.maximum.reduceat(cosines, corpus.first_reference), 0)
    total = scores + nearest
    mean = np.divide(2 * scores * nearest, total, out=np.zeros_like(total), where=total > 0)
    return {NAME: scores, REFERENCE_NAME: mean}


def _unit(vectors: list[npt.NDArray[np.float32]]) -> Floats:
    """Return vectors as rows of length 1."""
    rows = np.array(vectors, np.float64)
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
