"""Validation on several data sets: each on its own, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from capgen.training.validation.validate import Validation, Validator


class SetsValidator:
    """Measures a captioner on a split of several data sets.

    Captions of different data sets are never scored together: document frequencies, lengths
    and references differ.

    Args:
        validators: What measures it on each.
        shares: Share of each in the mean; they sum to 1.
    """

    def __init__(self, validators: Mapping[str, Validator], shares: Mapping[str, float]) -> None:
        self.validators = validators
        self.shares = shares

    def run(self, poll: Callable[[], None] = lambda: None) -> Validation:
        """Measure the model as it is now; leaves it in evaluation mode.

        Args:
            poll: Called before each batch; may raise to stop.

        Raises:
            TrainingError: Memory runs out with one image a batch.
        """
        return mean_validation(
            {name: validator.run(poll) for name, validator in self.validators.items()},
            self.shares,
        )


def mean_validation(results: Mapping[str, Validation], shares: Mapping[str, float]) -> Validation:
    """Return the mean of what was measured on several data sets, with the parts in it.

    Args:
        results: What was measured on each.
        shares: Share of each; they sum to 1.
    """
    first = next(iter(results.values()))
    return Validation(
        images=sum(result.images for result in results.values()),
        loss=sum(shares[name] * result.loss for name, result in results.items()),
        metrics={
            metric: sum(shares[name] * result.metrics[metric] for name, result in results.items())
            for metric in first.metrics
        },
        language={
            measure: sum(
                shares[name] * result.language[measure] for name, result in results.items()
            )
            for measure in first.language
        },
        captions={
            key: text for result in results.values() for key, text in result.captions.items()
        },
        per_image={
            key: scores for result in results.values() for key, scores in result.per_image.items()
        },
        protocol={"mean_over_sets": dict(shares)},
        sets=dict(results),
    )
