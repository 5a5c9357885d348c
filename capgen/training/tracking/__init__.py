"""The trackers of capgen: the run's page, Weights & Biases, TensorBoard.

base             the interface of trackers
page/            run.html
tensorboard      event files
wandb/tracker    sends a run's events to a process of its own (wandb/worker) …
wandb/process    … which alone imports wandb and talks to its service
wandb/trial_run  sends a small run, for `capgen doctor wandb`
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from capgen.config import TrainConfig
from capgen.errors import MissingDependencyError
from capgen.training.tracking.base import Tracker
from capgen.training.tracking.page.tracker import PageTracker

# Settings about tracking; none of them changes a run's result.
TRACKING_SETTINGS = (
    *("wandb", "wandb_project", "wandb_run_name", "wandb_checkpoints", "tensorboard"),
)


def check_trackers(config: TrainConfig) -> None:
    """Raise `MissingDependencyError` unless the packages that the trackers need are installed."""
    if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise MissingDependencyError("tensorboard", extra="tensorboard", purpose="--tensorboard")


def open_trackers(config: TrainConfig, tell: Callable[[str], None]) -> list[Tracker]:
    """Return the trackers of a run; `tell` gets messages for the user, from any thread."""
    trackers: list[Tracker] = [PageTracker()]
    if config.wandb:
        from capgen.training.tracking.wandb.tracker import WandbTracker

        trackers.append(WandbTracker(config, tell))
    if config.tensorboard:
        from capgen.training.tracking.tensorboard import TensorboardTracker

        trackers.append(TensorboardTracker())
    return trackers
