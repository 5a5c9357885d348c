"""The end of a run: its best model is measured on the test split."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.records import Event, TestEvent
from capgen.training.objectives.learner import Learner
from capgen.training.processes.folders import SharedFolder
from capgen.training.run.assemble import build_validator, split_inputs
from capgen.training.run.checkpoints import Checkpoints
from capgen.training.run.folder import BEST_EVAL, RunFolder
from capgen.training.run.run_data import RunData


def measure_test_split(
    data: RunData, place: SharedFolder, checkpoints: Checkpoints
) -> Iterator[Event]:
    """Measure the model `best-eval`, and add its scores to its folder.

    Args:
        data: Settings and data of the run.
        place: The run's folder.
        checkpoints: Writes the models of the run.
    """
    place.bring(BEST_EVAL)
    folder = ModelFolder(RunFolder(place.here).checkpoint(BEST_EVAL), BEST_EVAL)
    device = data.learner.device
    chosen = Learner.of(load_captioning(folder), data.config, device)
    data = dataclasses.replace(data, learner=chosen)
    inputs = yield from split_inputs(data, "test")
    chosen.captioning.model.to(device)
    validation = build_validator(data, "test", inputs).run()
    if data.processes.rank == 0:
        checkpoints.add_test(BEST_EVAL, validation)
    yield TestEvent(
        name=BEST_EVAL,
        images=validation.images,
        loss=validation.loss,
        metrics=validation.metrics,
        sets=validation.figures,
    )
