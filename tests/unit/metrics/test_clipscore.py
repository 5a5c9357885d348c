"""CLIPScore and RefCLIPScore from features."""

from __future__ import annotations

import numpy as np
import pytest

from capgen.errors import MetricError
from capgen.metrics.clipscore import ClipFeatures
from capgen.metrics.evidence import Evidence
from capgen.metrics.score import score_captions

CAPTIONS = {"a": "one", "b": "two", "c": "three"}
REFERENCES = {"a": ["one", "four"], "b": ["four"], "c": ["two", "one"]}


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


FEATURES = ClipFeatures(
    model="made",
    images={"a": vector(2, 0), "b": vector(0, 5), "c": vector(1, 1)},
    texts={
        "one": vector(3, 4),
        "two": vector(0, -2),
        "three": vector(0.5, 0),
        "four": vector(0, 9),
    },
)


def test_scores_by_hand() -> None:
    evidence = Evidence(features=FEATURES)
    report = score_captions(CAPTIONS, REFERENCES, metrics=["clipscore"], evidence=evidence)
    # Cosines with the image: 0.6, -1, 1/√2. With the nearest reference: 1, -1, 0.6.
    plain = [2.5 * 0.6, 0, 2.5 / np.sqrt(2)]
    assert report.per_image["CLIPScore"] == pytest.approx(plain)
    means = [2 * s * r / (s + r) if s + r else 0 for s, r in zip(plain, [1, 0, 0.6], strict=True)]
    assert report.per_image["RefCLIPScore"] == pytest.approx(means)
    assert report.corpus["CLIPScore"] == pytest.approx(np.mean(plain))
    assert report.stamp.evidence == {"clipscore": "made"}


def test_without_features() -> None:
    with pytest.raises(MetricError, match="makes of the images") as caught:
        score_captions(CAPTIONS, REFERENCES, metrics=["clipscore"])
    assert "capgen eval" in caught.value.hint
