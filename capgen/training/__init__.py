"""Training: `train` and `resume` yield the events of a run (`capgen.records`).

    from capgen.training import train, train_config

    for event in train(train_config("mini", dataset="flickr8k")):
        print(event)

plan          settings, stages, estimates of memory and time, recipes
run           a run from its folder to its last checkpoint
model         the trained model: a new or an existing captioner
data          images, features and captions as batches of tensors
objectives    cross-entropy, self-critical training (SCST), distillation
optimization  steps, learning rates, memory, processes
validation    losses, scores and samples; which model is best
tracking      the run's page, TensorBoard, Weights & Biases
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

if TYPE_CHECKING:
    from capgen.config import TrainConfig, train_config
    from capgen.models.run_events import read_events
    from capgen.training.plan.estimate import Estimate, estimate
    from capgen.training.plan.stages import Plan, Stage, read_plan, resolve_plan
    from capgen.training.run.folder import RunFolder, read_config
    from capgen.training.run.stop_request import StopRequest
    from capgen.training.run.train import resume, train
    from capgen.training.run.train_stages import resume_run, train_stages
    from capgen.training.tracking.base import Tracker
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.config": ("TrainConfig", "train_config"),
            "capgen.training.plan.estimate": ("Estimate", "estimate"),
            "capgen.training.plan.stages": ("Plan", "Stage", "read_plan", "resolve_plan"),
            "capgen.models.run_events": ("read_events",),
            "capgen.training.run.folder": ("RunFolder", "read_config"),
            "capgen.training.run.stop_request": ("StopRequest",),
            "capgen.training.run.train": ("resume", "train"),
            "capgen.training.run.train_stages": ("resume_run", "train_stages"),
            "capgen.training.tracking.base": ("Tracker",),
        },
    )

__all__ = [
    "Estimate",
    "Plan",
    "RunFolder",
    "Stage",
    "StopRequest",
    "Tracker",
    "TrainConfig",
    "estimate",
    "read_config",
    "read_events",
    "read_plan",
    "resolve_plan",
    "resume",
    "resume_run",
    "train",
    "train_config",
    "train_stages",
]
