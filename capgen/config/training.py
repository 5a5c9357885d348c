"""Settings of training."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.config.fields import check_ranges, setting
from capgen.config.models import DEVICE_NAMES, check_device
from capgen.config.presets import TRAIN_PRESETS, objective_defaults
from capgen.errors import UsageError, did_you_mean

EVAL_STRATEGIES = (
    *("meteor-centric", "weighted-composite", "pareto", "multi-criteria"),
    *("meteor", "bleu", "rouge", "cider"),
)


OBJECTIVES = ("cross-entropy", "scst")


_LAST_BLOCKS = re.compile(r"last-[1-9][0-9]{0,3}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides how a training run goes; `train_config` fills in a preset.

    Raises:
        UsageError: A value is out of its range, or two of them exclude each other.
    """

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
    # One data set is its name or folder, several are a tuple.
    data_dir: Path | tuple[Path, ...] | None = setting(  # noqa: RUF009
        None, "The data set's folder or file, or PATH=WEIGHT; may be repeated."
    )
    dataset: str | tuple[str, ...] | None = setting(
        None, "Name of an installed data set, or NAME=WEIGHT; may be repeated."
    )
    output_dir: Path | None = setting(None, "The run's folder; by default runs/NAME.")  # noqa: RUF009
    name: str | None = setting(None, "The run's name; by default preset and time.")

    num_epochs: int = setting(20, "Passes over the training images.", low=1, high=10000)
    objective: str = setting(
        "cross-entropy",
        "What is learned: cross-entropy of human captions, or scst (CIDEr-D of sampled ones).",
        choices=OBJECTIVES,
    )
    samples_per_image: int = setting(
        5, "Captions sampled for an image and step (scst only).", low=2, high=1000
    )
    sample_temperature: float = setting(
        1.0, "Temperature of the samples (scst only).", low=0.1, high=10.0
    )
    cross_entropy_share: float = setting(
        0.1, "Weight of the cross-entropy beside the reward (scst only).", low=0.0, high=10.0
    )

    batch_size: int = setting(64, "Images a pass, over all processes.", low=1, high=65536)
    accumulation: int = setting(
        1, "Passes a step: a step is over batch-size times this many images.", low=1, high=65536
    )
    captions_per_image: int = setting(5, "Captions an image and step, at most.", low=1, high=1000)
    learning_rate: float = setting(5e-4, "Peak learning rate of new parts.", low=0.0, high=10.0)
    encoder_learning_rate: float = setting(
        2e-4, "Peak learning rate of a pretrained encoder.", low=0.0, high=10.0
    )
    decoder_learning_rate: float = setting(
        5e-4, "Peak learning rate of a pretrained decoder.", low=0.0, high=10.0
    )
    weight_decay: float = setting(0.05, "Decay of matrices (AdamW).", low=0.0, high=10.0)
    beta1: float = setting(0.9, "AdamW's decay of the mean gradient.", low=0.0, high=0.9999)
    beta2: float = setting(0.98, "AdamW's decay of the squared gradient.", low=0.0, high=0.99999)
    warmup_steps: int = setting(200, "Steps from 0 to the peak learning rate.", low=0)
    schedule: str = setting(
        "cosine", "Learning rate after the warm-up.", choices=("cosine", "linear", "constant")
    )
    clip_norm: float = setting(1.0, "Largest gradient norm; 0 is off.", low=0.0, high=1e6)
    label_smoothing: float = setting(0.1, "Label smoothing of the loss.", low=0.0, high=0.9)
    dropout: float = setting(0.2, "Dropout of the decoder and the neck.", low=0.0, high=0.9)
    ema_decay: float = setting(
        0.998, "Decay of the weights' moving average; 0 is off.", low=0.0, high=0.99999
    )
    min_count: int = setting(4, "Words seen less often are unknown (mini only).", low=1)
    max_tokens: int = setting(
        64, "Longer captions are cut to this many tokens, start included.", low=4, high=1024
    )
    image_size: int = setting(288, "Side of the images in pixels (mini only).", low=32, high=1024)
    decoder_layers: int = setting(3, "Layers of a new small decoder (mini only).", low=1, high=48)
    decoder_width: int = setting(
        256, "Width of a new small decoder, a multiple of 8 (mini only).", low=8, high=4096
    )
    train_encoder: str = setting(
        "all", "What is trained of a pretrained encoder: all, none, or its last N blocks (last-N)."
    )
    lora_rank: int = setting(
        0, "Train low-rank additions to the decoder instead of its weights; 0 is off.", low=0
    )

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

    eval: bool = setting(True, "Caption val and score it; otherwise only its loss is measured.")
    eval_strategy: str = setting(
        "meteor-centric", "What makes a model best-eval.", choices=EVAL_STRATEGIES
    )
    eval_every: int = setting(1, "Epochs from one validation to the next.", low=1)
    eval_limit: int | None = setting(None, "Validate on this many images only.", low=1)
    eval_batch_size: int | None = setting(
        None, "Images a batch in validation; by default 64, on GPUs 256.", low=1
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
    wandb: bool = setting(False, "Record the run in Weights & Biases too.")
    wandb_project: str = setting("capgen", "Project in Weights & Biases.")
    wandb_run_name: str | None = setting(None, "Name there; by default that of the run's folder.")
    wandb_checkpoints: str = setting(
        "end",
        "Models sent there: the chosen ones at the end, each better one, or none.",
        choices=("end", "each", "none"),
    )
    tensorboard: bool = setting(False, "Write the run for TensorBoard too.")
    log_every: int = setting(
        10, "Steps from one report to the next; 1 in runs of fewer steps.", low=1
    )
    save_every: int = setting(
        500, "Steps from one saved state to the next; 0 saves at the ends of epochs only.", low=0
    )
    keep_states: int = setting(1, "Saved states that are kept.", low=1, high=1000)

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
    seed: int = setting(0, "Seed of weights, order, augmentation and dropout.", low=0, high=2**31)

    def __post_init__(self) -> None:
        for name, kind in (("teacher", str), ("data_dir", Path), ("dataset", str)):
            object.__setattr__(self, name, _one_or_several(getattr(self, name), kind))
        check_ranges(self)
        check_device(self.device)
        if self.preset not in TRAIN_PRESETS:
            raise UsageError(
                f"Unknown preset '{self.preset}'", hint=did_you_mean(self.preset, TRAIN_PRESETS)
            )
        if self.objective != "cross-entropy" and self.teachers:
            raise UsageError(
                f"--teacher is for --objective cross-entropy, not for {self.objective}",
                hint="In a file with stages, put teacher under the stage that it is for.",
            )
        if self.preset == "mini" and self.decoder is not None:
            raise UsageError("--decoder is for clip-gpt2: mini makes its own small decoder")
        if self.decoder_width % 8:
            raise UsageError(f"--decoder-width is {self.decoder_width}; it must be a multiple of 8")
        if self.train_encoder not in ("all", "none") and not _LAST_BLOCKS.fullmatch(
            self.train_encoder
        ):
            raise UsageError(
                f"--train-encoder is {self.train_encoder!r}; it must be all, none or last-N",
                hint="--train-encoder last-2 trains the last two blocks.",
            )

    @property
    def encoder_blocks(self) -> int | None:
        """Blocks of a pretrained encoder that are trained; None is all of it."""
        if self.train_encoder == "all":
            return None
        return int(self.train_encoder.removeprefix("last-").replace("none", "0"))

    @property
    def images_a_step(self) -> int:
        """Images whose gradients make one step."""
        return self.batch_size * self.accumulation

    @property
    def teachers(self) -> tuple[str, ...]:
        """The teachers, one by one."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher or ()

    @property
    def augments(self) -> bool:
        """Whether any augmentation of the images is on."""
        crops = self.crop_area < 1 or self.crop_aspect > 1
        stored = self.compression > 0 or self.rescale > 0
        return crops or self.flip or self.color_jitter > 0 or stored

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as built-in types, for records."""
        return {name: _built_in(value) for name, value in dataclasses.asdict(self).items()}


def _one_or_several(value: Any, kind: type) -> Any:
    """Return a list of one as that one, a longer one as a tuple."""
    if not isinstance(value, list | tuple):
        return value
    several = tuple(kind(item) for item in value)
    return several if len(several) > 1 else several[0] if several else None


def _built_in(value: Any) -> Any:
    """Return a setting as JSON's types."""
    if isinstance(value, tuple):
        return [_built_in(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def train_config(preset: str | None = None, **settings: Any) -> TrainConfig:
    """Return the settings of a preset and an objective, with those given instead.

    Args:
        preset: Key of `TRAIN_PRESETS`; None is the default preset.
        settings: Fields of `TrainConfig`.

    Raises:
        UsageError: There is no such preset, or a value is not accepted.
    """
    name = preset if preset is not None else TrainConfig.preset
    objective = settings.get("objective", TrainConfig.objective)
    known = {**TRAIN_PRESETS.get(name, {}), **objective_defaults(objective, name)}
    return TrainConfig(**{**known, "preset": name, **settings})
