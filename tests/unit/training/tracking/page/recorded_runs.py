"""Events of made-up runs."""

from __future__ import annotations

from pathlib import Path

from capgen.records import (
    CheckpointSaved,
    EpochEvent,
    Event,
    Notice,
    RunFinished,
    RunStarted,
    SampleEvent,
    StepEvent,
    TestEvent,
)

METRICS = ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR")


def started(*, epochs: int = 3, steps: int = 30, notice: str = "") -> list[Event]:
    """Return what a run begins with."""
    images = {"train": 100, "val": 10, "test": 10}
    begin = RunStarted(
        run="/runs/told", preset="mini", device="cpu", precision="fp32", parameters=1000,
        trained=900, images=images, captions=500, epochs=epochs, steps=steps,
    )  # fmt: skip
    return [begin, Notice(message=notice)] if notice else [begin]


def epoch_of(
    epoch: int, *, images: list[Path], captions: list[str], score: float, steps: int = 10
) -> list[Event]:
    """Return the events of an epoch; it is the best so far."""
    first = (epoch - 1) * steps
    told: list[Event] = [
        StepEvent(
            step=first + step, epoch=epoch, loss=5.0 / (first + step), learning_rate=1e-3,
            images_per_second=100.0, learning_rates={"new": 1e-3, "encoder": 1e-4},
        )
        for step in range(1, steps + 1)
    ]  # fmt: skip
    metrics = {name: score / 2 if name == "METEOR" else score for name in METRICS}
    told.append(
        EpochEvent(
            epoch=epoch, step=epoch * steps, train_loss=2.0, val_loss=3.0 / epoch,
            metrics=metrics, seconds=5.0, eval_seconds=1.0,
        )
    )  # fmt: skip
    for name in ("last", "best-loss", "best-eval"):
        value = None if name == "last" else score
        told.append(
            CheckpointSaved(
                name=name, path=f"/runs/told/{name}", epoch=epoch, step=epoch * steps, value=value
            )
        )
    for image, caption in zip(images, captions, strict=True):
        told.append(
            SampleEvent(
                epoch=epoch, image=image.name, caption=caption, references=("a dog", "a hound"),
                metrics=metrics, path=str(image), followed=True,
            )
        )  # fmt: skip
    return told


def finished(*, epochs: int = 3, steps: int = 30) -> list[Event]:
    """Return what a run ends with."""
    return [
        TestEvent(name="best-eval", images=10, loss=1.0, metrics={"METEOR": 0.25}),
        RunFinished(
            run="/runs/told", epochs=epochs, steps=steps, seconds=75.0, best_loss=1.0,
            best_eval=0.3, eval_metric="METEOR",
        ),
    ]  # fmt: skip
