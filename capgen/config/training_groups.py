"""Settings of training in groups: what is trained, on what, and how.

`TrainConfig` has them all, with those of `training_run_groups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from capgen.config.fields import setting

OBJECTIVES = ("cross-entropy", "scst", "text")


@dataclass(frozen=True, kw_only=True)
class DataAndRun:
    """What a run reads, and where it writes."""

    PANEL: ClassVar[str] = "Data and run"

    # One data set is its name or folder, several are a tuple.
    dataset: str | tuple[str, ...] | None = setting(
        None, "Name of an installed data set, or NAME=WEIGHT; may be repeated."
    )
    data_dir: Path | tuple[Path, ...] | None = setting(  # noqa: RUF009
        None, "The data set's folder or file, or PATH=WEIGHT; may be repeated."
    )
    text_data: Path | tuple[Path, ...] | None = setting(  # noqa: RUF009
        None, "File of captions without images, for the decoder to learn from; may be repeated."
    )
    text_weight: float = setting(0.2, "Weight of learning from them.", low=0.0, high=10.0)
    text_captions_per_image: int = setting(
        1, "How many of them each image of a step brings.", low=1, high=1000
    )
    output_dir: Path | None = setting(None, "The run's folder; by default runs/NAME.")  # noqa: RUF009
    name: str | None = setting(None, "The run's name; by default made of preset and time.")


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What is trained."""

    PANEL: ClassVar[str] = "Model"

    preset: str = setting("clip-gpt2", "Architecture and training recipe: clip-gpt2 or mini.")
    encoder: str | None = setting(
        None, "Vision encoder: Hub id or folder; for mini: lite0, lite1 or lite2."
    )
    decoder: str | None = setting(None, "GPT-2 of any size: Hub id or folder (clip-gpt2 only).")
    init: str | None = setting(
        None, "Start from this captioner (folder, run or Hub id) instead of a new one."
    )
    extend_vocabulary: bool = setting(
        True, "With --init: add the new words of the training captions to a vocabulary of words."
    )
    train_encoder: str = setting(
        "all", "Which part of a pretrained encoder to train: all, none, or last-N for N blocks."
    )
    cache_features: bool = setting(
        True,
        "With --train-encoder none: compute the encoder's features once, without augmentation.",
    )
    encoder_average: float = setting(
        0.0,
        "With --init: start with this share of the published ImageNet weights in the encoder; "
        "0 is off (mini only).",
        low=0.0,
        high=1.0,
    )
    image_size: int = setting(
        288, "Width and height of the images in pixels (mini only).", low=32, high=1024
    )
    min_count: int = setting(
        4, "Leave words that occur less often out of the vocabulary (mini only).", low=1
    )
    decoder_layers: int = setting(3, "Layers of a new small decoder (mini only).", low=1, high=48)
    decoder_width: int = setting(
        256, "Width of a new small decoder, a multiple of 8 (mini only).", low=8, high=4096
    )
    lora_rank: int = setting(
        0, "Train LoRA matrices of this rank instead of the decoder's weights; 0 is off.", low=0
    )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How it is trained."""

    PANEL: ClassVar[str] = "Recipe"

    objective: str = setting(
        "cross-entropy",
        "Training objective; scst maximises the CIDEr-D of sampled captions, text learns language "
        "from the captions of --text-data alone, as a first stage.",
        choices=OBJECTIVES,
    )
    num_epochs: int = setting(20, "Passes over the training images.", low=1, high=10000)
    batch_size: int = setting(64, "Images per batch, over all processes.", low=1, high=65536)
    accumulation: int = setting(
        1, "Batches per optimizer step, by gradient accumulation.", low=1, high=65536
    )
    captions_per_image: int = setting(5, "Maximum captions per image and step.", low=1, high=1000)
    max_tokens: int = setting(
        64, "Cut captions to this many tokens, including the start token.", low=4, high=1024
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
    weight_decay: float = setting(
        0.05, "AdamW's weight decay, of matrices only.", low=0.0, high=10.0
    )
    beta1: float = setting(0.9, "AdamW's decay rate of the mean gradient.", low=0.0, high=0.9999)
    beta2: float = setting(
        0.98, "AdamW's decay rate of the mean squared gradient.", low=0.0, high=0.99999
    )
    clip_norm: float = setting(1.0, "Clip gradients to this norm; 0 is off.", low=0.0, high=1e6)
    label_smoothing: float = setting(0.1, "Label smoothing of the loss.", low=0.0, high=0.9)
    dropout: float = setting(0.2, "Dropout of the decoder and the neck.", low=0.0, high=0.9)
    ema_decay: float = setting(
        0.998, "Decay rate of the moving average of the weights; 0 is off.", low=0.0, high=0.99999
    )
    seed: int = setting(
        0, "Random seed of weights, order, augmentation and dropout.", low=0, high=2**31
    )
    samples_per_image: int = setting(
        5, "Captions sampled per image and step (scst only).", low=2, high=1000
    )
    sample_temperature: float = setting(
        1.0, "Temperature of sampling (scst only).", low=0.1, high=10.0
    )
    cross_entropy_share: float = setting(
        0.1,
        "Weight of the cross-entropy that is added to the reward (scst only).",
        low=0.0,
        high=10.0,
    )
    noun_reward: float = setting(
        0.0,
        "Weight of the recall of the image's nouns in the reward; 0 is off (scst only).",
        low=0.0,
        high=5.0,
    )
    nouns_once: bool = setting(
        False, "Sample captions that use each noun once, as captioning does (scst only)."
    )


@dataclass(frozen=True, kw_only=True)
class Teachers:
    """The captioners that a run learns from, in addition to human captions."""

    PANEL: ClassVar[str] = "Teachers"

    # One teacher is its name, several are a tuple.
    teacher: str | tuple[str, ...] | None = setting(
        None, "Captioner to learn from in addition to the captions; may be repeated."
    )
    distill: str = setting(
        "sequence",
        "Learn the teachers' captions of the training images, or with token their distribution "
        "over each next token, which needs the same vocabulary.",
        choices=("token", "sequence"),
    )
    distill_weight: float = setting(
        0.5,
        "Share of the loss that comes from teachers; the rest comes from captions.",
        low=0.0,
        high=1.0,
    )
    distill_temperature: float = setting(
        1.0, "With --distill token: temperature of teachers and student.", low=0.1, high=20.0
    )


@dataclass(frozen=True, kw_only=True)
class Concepts:
    """What the model learns of the nouns that captions say (mini with cross-entropy only)."""

    PANEL: ClassVar[str] = "Concepts"

    concept_weight: float = setting(
        0.0,
        "Weight of learning which nouns the captions of an image say; 0 is off.",
        low=0.0,
        high=10.0,
    )
    concept_learning_rate: float = setting(
        1e-3, "Peak learning rate of the concept head.", low=0.0, high=10.0
    )
    concept_strength: float = setting(
        2.0,
        "In a search, add this much times a noun's probability to its log-probability.",
        low=0.0,
        high=100.0,
    )
    concept_threshold: float = setting(
        0.15, "Add it only to nouns at least this likely.", low=0.0, high=1.0
    )
    keep_classes: float = setting(
        0.0,
        "Weight of keeping the encoder's ImageNet classes while it is trained; 0 is off.",
        low=0.0,
        high=100.0,
    )
    class_nouns: bool = setting(
        False, "Let saved models say nouns of ImageNet's classes that no caption has."
    )


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are varied."""

    PANEL: ClassVar[str] = "Augmentation"

    crop_area: float = setting(
        0.5, "Smallest share of an image that a random crop keeps; 1 is off.", low=0.05, high=1.0
    )
    crop_aspect: float = setting(
        4 / 3,
        "Largest change of an image's aspect ratio by a random crop; 1 keeps it.",
        low=1.0,
        high=4.0,
    )
    flip: bool = setting(True, "Mirror images at random, half of the time.")
    color_jitter: float = setting(
        0.3, "Largest random change of brightness, contrast and saturation.", low=0.0, high=0.9
    )
    compression: float = setting(
        0.0, "Share of images to degrade by JPEG or WebP compression.", low=0.0, high=1.0
    )
    compression_quality: int = setting(
        30, "Lowest quality of --compression; the highest is 95.", low=1, high=95
    )
    rescale: float = setting(
        0.0, "Share of images to shrink, by half at most, and enlarge again.", low=0.0, high=1.0
    )
