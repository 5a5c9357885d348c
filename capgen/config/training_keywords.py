"""The settings that functions of training take as keywords, for editors and type checkers.

A test compares them with `TrainConfig`, which owns their defaults, ranges and help.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict


class MachineKeywords(TypedDict, total=False):
    """The fields of `TrainConfig` that may change when a run is resumed."""

    eval_batch_size: int | None
    wandb: bool
    wandb_project: str
    wandb_run_name: str | None
    wandb_checkpoints: str
    tensorboard: bool
    device: str
    shard_decoder: bool
    workers: int | None
    save_every: int
    keep_states: int


class TrainKeywords(MachineKeywords, total=False):
    """The fields of `TrainConfig`, without the preset."""

    data_dir: Path | tuple[Path, ...] | None
    dataset: str | tuple[str, ...] | None
    text_data: Path | tuple[Path, ...] | None
    text_weight: float
    text_captions_per_image: int
    output_dir: Path | None
    name: str | None
    encoder: str | None
    decoder: str | None
    init: str | None
    extend_vocabulary: bool
    train_encoder: str
    cache_features: bool
    encoder_average: float
    image_size: int
    min_count: int
    decoder_layers: int
    decoder_width: int
    lora_rank: int
    objective: str
    num_epochs: int
    batch_size: int
    accumulation: int
    captions_per_image: int
    max_tokens: int
    learning_rate: float
    encoder_learning_rate: float
    decoder_learning_rate: float
    warmup_steps: int
    schedule: str
    weight_decay: float
    beta1: float
    beta2: float
    clip_norm: float
    label_smoothing: float
    dropout: float
    ema_decay: float
    seed: int
    samples_per_image: int
    sample_temperature: float
    cross_entropy_share: float
    noun_reward: float
    nouns_once: bool
    teacher: str | tuple[str, ...] | None
    distill: str
    distill_weight: float
    distill_temperature: float
    concept_weight: float
    concept_learning_rate: float
    concept_strength: float
    concept_threshold: float
    keep_classes: float
    class_nouns: bool
    crop_area: float
    crop_aspect: float
    flip: bool
    color_jitter: float
    compression: float
    compression_quality: int
    rescale: float
    validation: bool
    eval: bool
    eval_strategy: str
    patience: int | None
    test: bool
    test_samples_per_epoch: int
    followed_samples: int
    min_distinct_words: int
    max_repetition: float
    eval_every: int
    eval_limit: int | None
    precision: str
    compile: bool
    gradient_checkpointing: bool
    log_every: int
