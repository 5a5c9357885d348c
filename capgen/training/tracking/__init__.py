"""Trackers that come with capgen: the run's own page, Weights & Biases, TensorBoard.

page/            run.html and curves.png
tensorboard      event files
wandb_tracker    tells a process of its own what happens (`worker`) …
wandb_process    … which alone imports wandb and talks to its service
wandb_file       reads the file of an offline run back
wandb_probe      sends a small run and looks whether it arrived
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from capgen.config import TrainConfig
from capgen.errors import MissingDependencyError, UsageError
from capgen.training.tracking.base import Tracker
from capgen.training.tracking.page.tracker import PageTracker

# Settings about who follows a run; none of them changes its result.
TRACKING_SETTINGS = (
    *("wandb", "wandb_project", "wandb_run_name", "wandb_checkpoints", "tensorboard"),
)


def check_trackers(config: TrainConfig) -> None:
    """Check that what the trackers of a run need is installed.

    Raises:
        MissingDependencyError, UsageError: Something is not.
    """
    if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise MissingDependencyError("tensorboard", extra="tensorboard", purpose="--tensorboard")
    if config.wandb and importlib.util.find_spec("wandb") is None:
        raise UsageError(
            "--wandb needs the package wandb, which is not installed", hint="pip install wandb"
        )


def open_trackers(config: TrainConfig, tell: Callable[[str], None]) -> list[Tracker]:
    """Return the trackers that a run's settings ask for.

    Args:
        config: The run's settings.
        tell: Called with what the user should know, in plain words; from any thread.
    """
    trackers: list[Tracker] = [PageTracker()]
    if config.wandb:
        from capgen.training.tracking.wandb.tracker import WandbTracker

        trackers.append(WandbTracker(config, tell))
    if config.tensorboard:
        from capgen.training.tracking.tensorboard import TensorboardTracker

        trackers.append(TensorboardTracker())
    return trackers
