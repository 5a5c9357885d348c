"""Settings of evaluation and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """How captions are judged; how they are made is a matter of `DecodeOptions`.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Scoring"

    split: str = setting("test", "Split of the data set: val, test or train.")
    limit: int | None = setting(None, "Score the first N images of the split only.", low=1)
    metrics: str = setting(
        "bleu,rouge_l,rouge_score,cider_d,meteor",
        "Metrics with commas between them; meteor_1_5 and spice need Java and the extra coco.",
    )
    resamples: int = setting(
        1000, "Resamples of the bootstrap behind the intervals.", low=100, high=100_000
    )
    report_seed: int = setting(
        0, "Seed of the bootstrap and of the examples drawn at random.", low=0, high=2**32 - 1
    )
    examples: int = setting(
        6,
        "Best, worst and random examples in the HTML report, each.",
        low=0,
        high=50,
        panel="Output",
    )
    batch_size: int = setting(16, "Images the model sees at once.", low=1, panel="Model")

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics one by one: keys of `capgen.metrics.score.METRICS`."""
        return tuple(dict.fromkeys(part.strip() for part in self.metrics.split(",")))


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """How a captioner's confidence is fitted; how it captions is a matter of `DecodeOptions`.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Fit"

    split: str = setting("val", "Split of the data set to fit on.", panel="Input")
    limit: int | None = setting(
        None, "Fit on the first N images of the split only.", low=1, panel="Input"
    )
    drawn: int = setting(
        300, "Drawn patterns, no photographs, as examples of what to mistrust.", low=0
    )
    metric: str = setting(
        "meteor", "What makes a caption a good one.", choices=("meteor", "cider_d")
    )
    threshold: float | None = setting(
        None,
        "Score from which a caption is good; by default 1/3 for meteor, 0.25 for cider_d.",
        low=0.0,
        high=10.0,
    )
    folds: int = setting(10, "Folds of the cross-validation.", low=2, high=100)
    fit_seed: int = setting(0, "Seed of the folds and of the drawn images.", low=0, high=2**32 - 1)
    batch_size: int = setting(16, "Images the model sees at once.", low=1, panel="Model")

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def good_from(self) -> float:
        """The threshold."""
        if self.threshold is not None:
            return self.threshold
        return {"meteor": 1 / 3, "cider_d": 0.25}[self.metric]
