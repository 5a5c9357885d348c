"""Settings of training."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from capgen.addresses import is_url, without_credentials
from capgen.config.endpoint import KEY_VARIABLE
from capgen.config.fields import check_names, check_ranges, flag_name
from capgen.config.models import check_device
from capgen.config.presets import TRAIN_PRESETS, objective_defaults, preset_settings
from capgen.config.training_groups import (
    Augmentation,
    Concepts,
    DataAndRun,
    Recipe,
    Teachers,
    TrainedModel,
)
from capgen.config.training_keywords import TrainKeywords
from capgen.config.training_run_groups import Machine, Tracking, ValidationSettings
from capgen.errors import UsageError, did_you_mean

_LAST_BLOCKS = re.compile(r"last-[1-9][0-9]{0,3}")


# Python puts the fields of the last class first.
@dataclass(frozen=True, kw_only=True)
class TrainConfig(
    Machine,
    Tracking,
    ValidationSettings,
    Augmentation,
    Concepts,
    Teachers,
    Recipe,
    TrainedModel,
    DataAndRun,
):
    """All settings of a training run; `train_config` fills in a preset.

    Raises:
        UsageError: A value is out of its range, or two of them cannot be used together.
    """

    def __post_init__(self) -> None:
        for name, kind in (
            ("teacher", str),
            ("data_dir", Path),
            ("dataset", str),
            ("text_data", Path),
        ):
            object.__setattr__(self, name, _one_or_several(getattr(self, name), kind))
        check_ranges(self)
        check_device(self.device)
        if self.preset not in TRAIN_PRESETS:
            raise UsageError(
                f"Unknown preset '{self.preset}'", hint=did_you_mean(self.preset, TRAIN_PRESETS)
            )
        self._check_teachers()
        if self.objective == "text" and not self.text_files:
            raise UsageError(
                "--objective text learns from captions without images: set --text-data"
            )
        self._check_concepts()
        self._check_shards()
        if self.encoder_average and self.init is None:
            raise UsageError(
                "--encoder-average is for a trained captioner: set --init",
                hint="In a file with stages, put encoder_average into a later stage.",
            )
        if self.preset == "mini" and self.decoder is not None:
            raise UsageError("--decoder is for clip-gpt2: mini has its own small decoder")
        if self.decoder_width % 8:
            raise UsageError(f"--decoder-width is {self.decoder_width}; it must be a multiple of 8")
        if self.train_encoder not in ("all", "none") and not _LAST_BLOCKS.fullmatch(
            self.train_encoder
        ):
            raise UsageError(
                f"--train-encoder is {self.train_encoder!r}; it must be all, none or last-N",
                hint="--train-encoder last-2 trains the last two blocks.",
            )

    def _check_teachers(self) -> None:
        for name in self.teachers:
            if is_url(name) and without_credentials(name) != name:  # runs record their settings
                raise UsageError(
                    f"--teacher {without_credentials(name)} was given with a password",
                    hint=f"Put the key into {KEY_VARIABLE}.",
                )
        for name in filter(is_url, self.teachers if self.distill == "token" else ()):
            raise UsageError(
                f"--teacher {without_credentials(name)} is on a server, which does not give its "
                "distribution",
                hint="Use --distill sequence, which learns from its captions.",
            )
        if self.objective != "cross-entropy" and self.teachers:
            raise UsageError(
                f"--teacher is for --objective cross-entropy, not for {self.objective}",
                hint="In a file with stages, put teacher into the stage that uses it.",
            )

    def _check_concepts(self) -> None:
        for name in ("concept_weight", "keep_classes"):
            if getattr(self, name) and self.objective != "cross-entropy":
                raise UsageError(
                    f"{flag_name(name)} is for --objective cross-entropy, not for {self.objective}",
                    hint=f"In a file with stages, put {name} into the stage that uses it.",
                )
        if self.keep_classes and self.train_encoder == "none":
            raise UsageError(
                "--keep-classes is for an encoder that is trained; --train-encoder none keeps them "
                "anyway"
            )

    def _check_shards(self) -> None:
        """Check that nothing needs the whole decoder while it learns, or a copy of it."""
        if not self.shard_decoder:
            return
        refused = {
            f"--objective {self.objective}": self.objective == "scst",
            "--lora-rank": self.lora_rank > 0,
            "--class-nouns": self.class_nouns,
            "--precision fp16": self.precision == "fp16",
        }
        for what, given in refused.items():
            if given:
                raise UsageError(
                    f"--shard-decoder cannot be used with {what}",
                    hint="In a file with stages, put shard_decoder = false into the stage that "
                    "has it.",
                )

    @property
    def sees_images(self) -> bool:
        """Whether it learns from images, not from text alone."""
        return self.objective != "text"

    @property
    def caches_features(self) -> bool:
        """Whether the encoder's features are computed once, before training."""
        return self.train_encoder == "none" and self.cache_features

    @property
    def encoder_blocks(self) -> int | None:
        """How many blocks of a pretrained encoder are trained; None means all."""
        if self.train_encoder == "all":
            return None
        return int(self.train_encoder.removeprefix("last-").replace("none", "0"))

    @property
    def images_a_step(self) -> int:
        """Images per optimizer step."""
        return self.batch_size * self.accumulation

    @property
    def teachers(self) -> tuple[str, ...]:
        """The teachers as a tuple."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher or ()

    @property
    def text_files(self) -> tuple[Path, ...]:
        """The files of captions without images as a tuple."""
        return (self.text_data,) if isinstance(self.text_data, Path) else self.text_data or ()

    @property
    def augments(self) -> bool:
        """Whether any image augmentation is on."""
        crops = self.crop_area < 1 or self.crop_aspect > 1
        stored = self.compression > 0 or self.rescale > 0
        return crops or self.flip or self.color_jitter > 0 or stored

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as built-in types, for records."""
        return {name: _built_in(value) for name, value in dataclasses.asdict(self).items()}


def _one_or_several(value: Any, kind: type) -> Any:
    if not isinstance(value, list | tuple):
        return value
    several = tuple(kind(item) for item in value)
    return several if len(several) > 1 else several[0] if several else None


def _built_in(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_built_in(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def train_config(preset: str | None = None, **settings: Unpack[TrainKeywords]) -> TrainConfig:
    """Return the settings of a preset and an objective, overridden by those given.

    Args:
        preset: Key of `TRAIN_PRESETS`; None is the default preset.
        settings: Fields of `TrainConfig`.

    Raises:
        UsageError: There is no such preset or setting, or a value is not accepted.
    """
    check_names(settings, TrainConfig, "setting")
    name = preset if preset is not None else TrainConfig.preset
    objective = settings.get("objective", TrainConfig.objective)
    own = preset_settings(name, init=settings.get("init") is not None)
    known = {**own, **objective_defaults(objective, name)}
    return TrainConfig(**{**known, "preset": name, **settings})
