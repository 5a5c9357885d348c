"""Tiny training runs: a data set of eight images to learn by heart, and settings for it."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from capgen.captioning.captioner import Captioner
from capgen.config import TrainConfig, train_config
from capgen.errors import TrainingStopped
from capgen.records import Event, StepEvent
from capgen.training.run.stop_request import StopRequest
from capgen.training.run.train import resume, train
from tests.minis import MiniImage

E = TypeVar("E", bound=Event)

SENTENCES = (
    "a red dog runs over the grass",
    "the cat sits under a tree",
    "two boys jump into the water",
    "a man on a bike near a house",
    "a woman holds a green ball",
    "three birds fly over the lake",
    "the old car stands in the street",
    "a girl in blue plays with a kite",
)
NO_NOISE = {
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "crop_area": 1.0,
    "crop_aspect": 1.0,
    "flip": False,
    "color_jitter": 0.0,
    "device": "cpu",
}


def of_kind(kind: type[E], events: Iterable[Event]) -> list[E]:
    """Return the events of one class."""
    return [event for event in events if isinstance(event, kind)]


def eight_images(val: int = 1) -> list[MiniImage]:
    """Return eight images to learn, some to validate on and one to test."""
    sentences = (*SENTENCES, *SENTENCES[:val], SENTENCES[1])
    splits = ("train",) * 8 + ("val",) * val + ("test",)
    return [
        MiniImage(name=f"{index}.jpg", captions=(sentence,) * 2, split=split, seed=index)
        for index, (sentence, split) in enumerate(zip(sentences, splits, strict=True))
    ]


def run_config(tmp_path: Path, data: Path, mini: Path, **settings: Any) -> TrainConfig:
    """Return settings of a short run of the mini preset without noise."""
    return train_config(
        "mini",
        **{
            "data_dir": data,
            "output_dir": tmp_path / "run",
            "init": str(mini),
            "batch_size": 4,
            "num_epochs": 2,
            "log_every": 1,
            **NO_NOISE,
            **settings,
        },
    )


def clip_config(tmp_path: Path, data: Path, **settings: Any) -> TrainConfig:
    """Return settings of a short run of clip-gpt2, with parts under `tmp_path`."""
    return train_config(
        "clip-gpt2",
        **{
            "encoder": str(tmp_path / "clip"),
            "decoder": str(tmp_path / "gpt2"),
            "data_dir": data,
            "output_dir": tmp_path / "run",
            "batch_size": 4,
            "num_epochs": 2,
            "log_every": 1,
            "warmup_steps": 2,
            **NO_NOISE,
            **settings,
        },
    )


def stop_at(config: TrainConfig, step: int) -> None:
    """Start a run, and stop it after a step with its state saved."""
    stop = StopRequest()
    with pytest.raises(TrainingStopped):
        for event in train(config, stop=stop):
            if isinstance(event, StepEvent) and event.step == step:
                stop.signal = signal.SIGTERM


def whole_and_resumed(config: TrainConfig, step: int) -> tuple[Path, Path]:
    """Run a configuration to its end twice, the second time stopped after a step and resumed.

    Returns:
        The folders of the two runs, `whole` and `stopped` beside the configuration's.
    """
    assert config.output_dir is not None
    whole, stopped = (config.output_dir.with_name(name) for name in ("whole", "stopped"))
    list(train(dataclasses.replace(config, output_dir=whole)))
    stop_at(dataclasses.replace(config, output_dir=stopped), step)
    list(resume(stopped))
    return whole, stopped


def caption_images(folder: str, data: Path) -> list[str]:
    """Return a model's captions of the eight images."""
    captioner = Captioner.from_pretrained(folder, runtime="torch")
    images = [data / "Flicker8k_Dataset" / f"{index}.jpg" for index in range(8)]
    return [caption.text for caption in captioner.caption(images)]
