"""The settings of training by what they are about; `TrainConfig` has them all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
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


OBJECTIVES = ("cross-entropy", "scst")


@dataclass(frozen=True, kw_only=True)
class DataAndRun:
    """What a run reads, and where it writes."""

    PANEL: ClassVar[str] = "Data and run"

    # One data set is its name or folder, several are a tuple.
    data_dir: Path | tuple[Path, ...] | None = setting(  # noqa: RUF009
        None, "The data set's folder or file, or PATH=WEIGHT; may be repeated."
    )
    dataset: str | tuple[str, ...] | None = setting(
        None, "Name of an installed data set, or NAME=WEIGHT; may be repeated."
    )
    output_dir: Path | None = setting(None, "The run's folder; by default runs/NAME.")  # noqa: RUF009
    name: str | None = setting(None, "The run's name; by default preset and time.")


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What is trained."""

    PANEL: ClassVar[str] = "Model"

    preset: str = setting("clip-gpt2", "Architecture and recipe: clip-gpt2 or mini.")
    encoder: str | None = setting(
        None, "Vision encoder: Hub id or folder; for mini lite0, lite1 or lite2."
    )
    decoder: str | None = setting(None, "GPT-2 of any size: Hub id or folder (clip-gpt2 only).")
    init: str | None = setting(
        None, "Captioner to go on from (folder, run or Hub id) instead of a new one."
    )
    extend_vocabulary: bool = setting(
        True, "With --init: add words of the training captions to a vocabulary of words."
    )
    train_encoder: str = setting(
        "all", "What is trained of a pretrained encoder: all, none, or its last N blocks (last-N)."
    )
    image_size: int = setting(288, "Side of the images in pixels (mini only).", low=32, high=1024)
    min_count: int = setting(4, "Words seen less often are unknown (mini only).", low=1)
    decoder_layers: int = setting(3, "Layers of a new small decoder (mini only).", low=1, high=48)
    decoder_width: int = setting(
        256, "Width of a new small decoder, a multiple of 8 (mini only).", low=8, high=4096
    )
    lora_rank: int = setting(
        0, "Train low-rank additions to the decoder instead of its weights; 0 is off.", low=0
    )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How it is trained."""

    PANEL: ClassVar[str] = "Recipe"

    objective: str = setting(
        "cross-entropy",
        "What is learned: cross-entropy of human captions, or scst (CIDEr-D of sampled ones).",
        choices=OBJECTIVES,
    )
    num_epochs: int = setting(20, "Passes over the training images.", low=1, high=10000)
    batch_size: int = setting(64, "Images a pass, over all processes.", low=1, high=65536)
    accumulation: int = setting(
        1, "Passes a step: a step is over batch-size times this many images.", low=1, high=65536
    )
    captions_per_image: int = setting(5, "Captions an image and step, at most.", low=1, high=1000)
    max_tokens: int = setting(
        64, "Longer captions are cut to this many tokens, start included.", low=4, high=1024
    )
    learning_rate: float = setting(5e-4, "Peak learning rate of new parts.", low=0.0, high=10.0)
    encoder_learning_rate: float = setting(
        2e-4, "Peak learning rate of a pretrained encoder.", low=0.0, high=10.0
    )
    decoder_learning_rate: float = setting(
        5e-4, "Peak learning rate of a pretrained decoder.", low=0.0, high=10.0
    )
    warmup_steps: int = setting(200, "Steps from 0 to the peak learning rate.", low=0)
    schedule: str = setting(
        "cosine", "Learning rate after the warm-up.", choices=("cosine", "linear", "constant")
    )
    weight_decay: float = setting(0.05, "Decay of matrices (AdamW).", low=0.0, high=10.0)
    beta1: float = setting(0.9, "AdamW's decay of the mean gradient.", low=0.0, high=0.9999)
    beta2: float = setting(0.98, "AdamW's decay of the squared gradient.", low=0.0, high=0.99999)
    clip_norm: float = setting(1.0, "Largest gradient norm; 0 is off.", low=0.0, high=1e6)
    label_smoothing: float = setting(0.1, "Label smoothing of the loss.", low=0.0, high=0.9)
    dropout: float = setting(0.2, "Dropout of the decoder and the neck.", low=0.0, high=0.9)
    ema_decay: float = setting(
        0.998, "Decay of the weights' moving average; 0 is off.", low=0.0, high=0.99999
    )
    seed: int = setting(0, "Seed of weights, order, augmentation and dropout.", low=0, high=2**31)
    samples_per_image: int = setting(
        5, "Captions sampled for an image and step (scst only).", low=2, high=1000
    )
    sample_temperature: float = setting(
        1.0, "Temperature of the samples (scst only).", low=0.1, high=10.0
    )
    cross_entropy_share: float = setting(
        0.1, "Weight of the cross-entropy beside the reward (scst only).", low=0.0, high=10.0
    )


@dataclass(frozen=True, kw_only=True)
class Teachers:
    """The captioners that a run learns from, beside human captions."""

    PANEL: ClassVar[str] = "Teachers"

    # One teacher is its name, several are a tuple.
    teacher: str | tuple[str, ...] | None = setting(
        None, "Captioner to learn from beside the captions; may be repeated."
    )
    distill: str = setting(
        "sequence",
        "What is learned from teachers: their captions of the training images or, as token, "
        "their distribution over each next token (for which they need the same vocabulary).",
        choices=("token", "sequence"),
    )
    distill_weight: float = setting(
        0.5, "Share of the teachers in the loss; the rest is of the captions.", low=0.0, high=1.0
    )
    distill_temperature: float = setting(
        1.0, "Temperature of teachers and student in --distill token.", low=0.1, high=20.0
    )


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are varied."""

    PANEL: ClassVar[str] = "Augmentation"

    crop_area: float = setting(
        0.5, "Random crops keep at least this share of an image; 1 is off.", low=0.05, high=1.0
    )
    crop_aspect: float = setting(
        4 / 3,
        "Random crops are at most this much wider or narrower than an image; 1 keeps its shape.",
        low=1.0,
        high=4.0,
    )
    flip: bool = setting(True, "Mirror half of the images.")
    color_jitter: float = setting(
        0.3, "Random brightness, contrast and saturation, up to this share.", low=0.0, high=0.9
    )
    compression: float = setting(
        0.0, "Share of the images that JPEG or WebP compression spoils.", low=0.0, high=1.0
    )
    compression_quality: int = setting(
        30, "Lowest quality of that; the highest is 95.", low=1, high=95
    )
    rescale: float = setting(
        0.0,
        "Share of the images that are shrunk, by half at most, and enlarged.",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """How the best model is found."""

    PANEL: ClassVar[str] = "Validation"

    validation: bool = setting(
        True, "Measure the model on val; otherwise best-eval is the model of the last epoch."
    )
    eval: bool = setting(True, "Caption val and score it; otherwise only its loss is measured.")
    eval_strategy: str = setting(
        EvalStrategy.METEOR_CENTRIC.value,
        "What makes a model best-eval.",
        choices=tuple(strategy.value for strategy in EvalStrategy),
    )
    patience: int | None = setting(
        None, "Stop after this many validations without a better one.", low=1
    )
    test: bool = setting(True, "Score the chosen model on the test split at the end.")
    test_samples_per_epoch: int = setting(
        0, "Show this many random validation images' captions after each validation.", low=0
    )
    followed_samples: int = setting(
        6,
        "Validation images whose captions the run page and the trackers show every time.",
        low=0,
        high=100,
    )
    eval_every: int = setting(1, "Epochs from one validation to the next.", low=1)
    eval_limit: int | None = setting(None, "Validate on this many images only.", low=1)
    eval_batch_size: int | None = setting(
        None, "Images a batch in validation; by default 64, on GPUs 256.", low=1
    )


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where else a run is recorded."""

    PANEL: ClassVar[str] = "Tracking"

    wandb: bool = setting(False, "Record the run in Weights & Biases too.")
    wandb_project: str = setting("capgen", "Project in Weights & Biases.")
    wandb_run_name: str | None = setting(None, "Name there; by default that of the run's folder.")
    wandb_checkpoints: str = setting(
        "end",
        "Models sent there: the chosen ones at the end, each better one, or none.",
        choices=("end", "each", "none"),
    )
    tensorboard: bool = setting(False, "Write the run for TensorBoard too.")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a run computes, and how often it reports and saves."""

    PANEL: ClassVar[str] = "Machine"

    device: str = setting("auto", f"Where to compute: {DEVICE_NAMES}.")
    precision: str = setting(
        "auto",
        "Type of the arithmetic; auto is bf16 on CUDA.",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    compile: bool = setting(False, "Compile the encoder with torch.compile.")
    gradient_checkpointing: bool = setting(
        False, "Compute activations twice rather than keep them: less memory, slower."
    )
    workers: int | None = setting(
        None, "Threads that decode images; by default one a core.", low=1, high=256
    )
    log_every: int = setting(
        10, "Steps from one report to the next; 1 in runs of fewer steps.", low=1
    )
    save_every: int = setting(
        500, "Steps from one saved state to the next; 0 saves at the ends of epochs only.", low=0
    )
    keep_states: int = setting(1, "Saved states that are kept.", low=1, high=1000)
