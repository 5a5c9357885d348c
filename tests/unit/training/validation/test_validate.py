"""The mean of validations on several data sets."""

from __future__ import annotations

import pytest

from capgen.training.validation.validate import Scores, Validation, mean_validation


def test_each_set_counts_by_its_share():
    results = {
        name: Validation(
            images=images,
            loss=loss,
            scores=Scores(
                metrics={"CIDEr-D": cider, "METEOR": 0.2},
                language={"distinct_words": 100 * loss},
                captions={f"{name}/1": name},
                per_image={f"{name}/1": {"METEOR": 0.2}},
            ),
        )
        for name, images, loss, cider in (("a", 10, 1.0, 0.4), ("b", 2, 2.0, 0.8))
    }
    mean = mean_validation(results, {"a": 0.75, "b": 0.25})
    assert mean.images == 12
    assert mean.loss == pytest.approx(1.25)
    assert mean.metrics == pytest.approx({"CIDEr-D": 0.5, "METEOR": 0.2})
    assert mean.language == pytest.approx({"distinct_words": 125.0})
    assert mean.scores is not None
    assert mean.scores.captions == {"a/1": "a", "b/1": "b"}
    assert set(mean.scores.per_image) == {"a/1", "b/1"}
    assert mean.figures["b"] == {"images": 2, "loss": 2.0, "CIDEr-D": 0.8, "METEOR": 0.2}


def test_without_captions_only_the_loss_is_averaged():
    results = {name: Validation(images=1, loss=loss) for name, loss in (("a", 1.0), ("b", 3.0))}
    mean = mean_validation(results, {"a": 0.5, "b": 0.5})
    assert (mean.loss, mean.scores) == (2.0, None)
    assert (mean.metrics, mean.language) == ({}, {})
