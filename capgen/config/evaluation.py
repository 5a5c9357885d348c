"""Settings of evaluation and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from capgen.config.fields import check_ranges, setting


@dataclass(frozen=True, kw_only=True)
class JavaLimits:
    """How long the official program of SPICE may take.

    Attributes:
        start: Seconds until a program's first answer, the start of Java included.
        timeout: Seconds until a program has finished.
    """

    start: float = 120.0
    timeout: float = 7200.0


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """How captions are scored; `DecodeOptions` decides how they are made.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Scoring"

    metrics: str = setting(
        "bleu,rouge_l,rouge_score,cider_d,meteor",
        "Metrics, separated by commas. Others: cider, cider_r, clipscore, bertscore, chair "
        "(objects that are not there), diversity (of --num-captions); with the extra `coco` "
        "meteor_1_5, and with Java too spice and spider.",
    )
    split: str = setting("test", "Split of the data set: val, test or train.")
    limit: int | None = setting(None, "Use only the first N images of the split, by name.", low=1)
    language: str = setting(
        "",
        "Language of the captions, as in en or pt-BR; metrics that cannot read it are left out. By "
        "default the data set's, or a guess from the references.",
    )
    tokenizer: str = setting(
        "auto",
        "What tokens are: ptb as in the COCO scorers, unicode words, characters, or words by jieba "
        "(Chinese), fugashi (Japanese) or pythainlp; auto chooses by the references.",
        choices=("auto", "ptb", "unicode", "characters", "jieba", "fugashi", "pythainlp"),
    )
    clip_model: str = setting(
        "openai/clip-vit-base-patch32", "CLIP for clipscore: a folder or a Hub id."
    )
    bert_model: str = setting(
        "",
        "Model for bertscore: a name in bert-score, a folder or a Hub id. By default that of the "
        "language, as roberta-large for English.",
    )
    bert_layer: int | None = setting(
        None, "Layer of --bert-model, for a model that bert-score does not know.", low=0
    )
    objects: Path | None = setting(  # noqa: RUF009
        None,
        "Objects for chair: a line for each, its name and words for it, separated by commas. "
        "Default: COCO's 80 categories, by capgen.",
    )
    instances: Path | None = setting(  # noqa: RUF009
        None, "Objects in the images, for chair: COCO's instances_val2014.json or the like."
    )
    java_start: float = setting(
        JavaLimits.start,
        "Seconds that an official program may take to start.",
        low=0.1,
        high=86_400,
    )
    java_timeout: float = setting(
        JavaLimits.timeout,
        "Seconds that an official program may take in all.",
        low=0.1,
        high=864_000,
    )
    resamples: int = setting(1000, "Bootstrap resamples for the intervals.", low=100, high=100_000)
    report_seed: int = setting(
        0, "Random seed of the bootstrap and the random examples.", low=0, high=2**32 - 1
    )
    examples: int = setting(
        6,
        "Number each of best, worst and random examples in the HTML report.",
        low=0,
        high=50,
        panel="Output",
    )
    batch_size: int = setting(16, "Images per batch.", low=1, panel="Model")

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the metrics: keys of `capgen.metrics.definitions.METRICS`."""
        return tuple(dict.fromkeys(part.strip() for part in self.metrics.split(",")))

    @property
    def java(self) -> JavaLimits:
        """How long the official programs may take."""
        return JavaLimits(start=self.java_start, timeout=self.java_timeout)


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """How a captioner's confidence is fitted; `DecodeOptions` decides how it captions.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Fit"

    split: str = setting("val", "Split of the data set to fit on.", panel="Input")
    limit: int | None = setting(
        None, "Use only the first N images of the split, by name.", low=1, panel="Input"
    )
    drawn: int = setting(
        300, "Generated patterns to add as images that the model should be unsure about.", low=0
    )
    metric: str = setting(
        "meteor", "Metric that decides whether a caption is good.", choices=("meteor", "cider_d")
    )
    threshold: float | None = setting(
        None,
        "Lowest score of a good caption; by default 1/3 for meteor, 0.25 for cider_d.",
        low=0.0,
        high=10.0,
    )
    folds: int = setting(10, "Folds of the cross-validation.", low=2, high=100)
    fit_seed: int = setting(0, "Random seed of the folds and the patterns.", low=0, high=2**32 - 1)
    batch_size: int = setting(16, "Images per batch.", low=1, panel="Model")

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def good_from(self) -> float:
        """The threshold, or the metric's default."""
        if self.threshold is not None:
            return self.threshold
        return {"meteor": 1 / 3, "cider_d": 0.25}[self.metric]
