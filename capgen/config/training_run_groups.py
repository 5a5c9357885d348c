"""Settings of training in groups: how a run is measured and recorded, and where it computes.

`TrainConfig` has them all, with those of `training_groups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from capgen.config.fields import setting
from capgen.config.models import DEVICE_NAMES


class EvalStrategy(StrEnum):
    """What makes a model the best one; the rules are in `capgen.training`."""

    METEOR_CENTRIC = "meteor-centric"
    WEIGHTED_COMPOSITE = "weighted-composite"
    PARETO = "pareto"
    MULTI_CRITERIA = "multi-criteria"
    METEOR = "meteor"
    BLEU = "bleu"
    ROUGE = "rouge"
    CIDER = "cider"


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """How the best model is chosen."""

    PANEL: ClassVar[str] = "Validation"

    validation: bool = setting(
        True, "Measure the val split; otherwise best-eval is the model of the last epoch."
    )
    eval: bool = setting(
        True, "Caption the val split and score it; otherwise only measure its loss."
    )
    eval_strategy: str = setting(
        EvalStrategy.METEOR_CENTRIC.value,
        "How the model best-eval is chosen.",
        choices=tuple(strategy.value for strategy in EvalStrategy),
    )
    patience: int | None = setting(
        None, "Stop after this many validations without improvement.", low=1
    )
    test: bool = setting(True, "Score the chosen model on the test split at the end.")
    test_samples_per_epoch: int = setting(
        0, "Show the captions of this many random images after each validation.", low=0
    )
    followed_samples: int = setting(
        6,
        "Images whose captions the run page and trackers show after every validation.",
        low=0,
        high=100,
    )
    min_distinct_words: int = setting(
        0,
        "End training when the captions of val have fewer distinct words; 0 is off (scst only).",
        low=0,
    )
    max_repetition: float = setting(
        1.0,
        "End training when more of the captions of val say a content word twice; "
        "1 is off (scst only).",
        low=0.0,
        high=1.0,
    )
    eval_every: int = setting(1, "Validate every N epochs.", low=1)
    eval_limit: int | None = setting(
        None, "Validate and test on the first N images of each data set only.", low=1
    )
    eval_batch_size: int | None = setting(
        None, "Images per batch in validation; by default 64, or 256 on GPUs.", low=1
    )


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where else a run is recorded."""

    PANEL: ClassVar[str] = "Tracking"

    wandb: bool = setting(False, "Also record the run in Weights & Biases.")
    wandb_project: str = setting("capgen", "Project in Weights & Biases.")
    wandb_run_name: str | None = setting(
        None, "Name in Weights & Biases; by default that of the run's folder."
    )
    wandb_checkpoints: str = setting(
        "end",
        "Models to send to Weights & Biases: the best at the end, each new best, or none.",
        choices=("end", "each", "none"),
    )
    tensorboard: bool = setting(False, "Also record the run for TensorBoard.")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a run computes, and how often it reports and saves."""

    PANEL: ClassVar[str] = "Machine"

    device: str = setting("auto", f"Device: {DEVICE_NAMES}.")
    precision: str = setting(
        "auto",
        "Number format of the arithmetic; auto is bf16 on CUDA, else fp32.",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    compile: bool = setting(False, "Compile the encoder with torch.compile.")
    gradient_checkpointing: bool = setting(
        False, "Recompute activations instead of keeping them: less memory, but slower."
    )
    shard_decoder: bool = setting(
        False,
        "Spread the decoder's blocks over the processes of the run: less memory in each, but "
        "slower.",
    )
    workers: int | None = setting(
        None, "Threads that decode images; by default one per core.", low=1, high=256
    )
    log_every: int = setting(10, "Report every N steps; in shorter runs, every step.", low=1)
    save_every: int = setting(
        500, "Save the state every N steps; with 0, only after each epoch.", low=0
    )
    keep_states: int = setting(1, "Number of saved states to keep.", low=1, high=1000)
