"""What is told of a run at its start."""

from __future__ import annotations

import torch

from capgen.models.part_names import part_name
from capgen.records import RunStarted
from capgen.training.optimization.trainer import Trainer
from capgen.training.run.folder import RunFolder
from capgen.training.run.run_data import RunData, set_figures

_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def run_started(data: RunData, folder: RunFolder, trainer: Trainer) -> RunStarted:
    """Return the event that a run begins with."""
    config, processes, model = data.config, data.processes, data.learner.captioning.model
    parameters = list(model.parameters())
    parts = model.config.to_dict()
    seen = config.sees_images
    return RunStarted(
        run=str(folder.path),
        preset=config.preset,
        device=data.learner.device.type,
        precision=_PRECISIONS[trainer.dtype],
        parameters=sum(p.numel() for p in parameters),
        trained=sum(p.numel() for p in parameters if p.requires_grad),
        images={name: len(examples) if seen else 0 for name, examples in data.splits.items()},
        captions=sum(len(row) for row in trainer.rows),
        epochs=config.num_epochs,
        steps=trainer.steps,
        sets=set_figures(data),
        init=config.init or "",
        encoder=part_name(parts, "encoder"),
        decoder=part_name(parts, "decoder"),
        processes=processes.count,
        machines=processes.machines,
    )
