"""How the training runs behind compared models went: curves over steps, and where they ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.models.folder import CHECKPOINTS
from capgen.models.run_curves import Curves, Points
from capgen.models.run_events import EVENTS_FILE, read_events
from capgen.pages.axes import short
from capgen.pages.chart import Chart
from capgen.pages.line_chart import STYLES, line_chart
from capgen.pages.page import Table
from capgen.pages.panel import Line, Panel
from capgen.paths import run_name
from capgen.records import RunFinished
from capgen.registry.entries import ModelEntry

ABOUT = (
    "As recorded in training: each run on the val split of its own data, so that curves of runs "
    "with other data, stages or batch sizes are not measured alike. A circle is a compared model."
)
_TRAINING, _VAL = "train/loss", "val/loss"
# Losses are best where they are lowest, scores where they are highest.
_LOSSES = {_TRAINING: "training loss per token", _VAL: "val loss per token"}


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A training run of which one or more checkpoints are compared.

    Attributes:
        name: Its name, or its folder if it is not among the runs of this machine.
        curves: What it recorded.
        models: Compared model → step after which it was saved; None if that was not recorded.
        finished: Whether the run has ended by itself.
    """

    name: str
    curves: Curves
    models: Mapping[str, int | None]
    finished: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: where the run ended, and the best values on the way."""
        names = [*filter(self.curves.__contains__, _LOSSES), *map(_of_val, self.curves.scores)]
        ends = {name: self.curves.points(name) for name in names}
        best = {name: best_point(name, points) for name, points in ends.items()}
        return {
            "run": self.name,
            "models": dict(self.models),
            "finished": self.finished,
            "epochs": self.curves.axis.epoch,
            "steps": self.curves.axis.step,
            "last": {name: points[-1][1] for name, points in ends.items()},
            "best": {name: {"value": at[1], "step": at[0]} for name, at in best.items()},
        }


@dataclass(frozen=True, kw_only=True)
class LearningCurves:
    """The learning curves of compared models.

    Attributes:
        runs: The training runs that the models are from.
        others: The models that are from no run on this machine.
    """

    runs: tuple[TrainingRun, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not in the charts, as sentences."""
        notes = []
        if self.runs and self.others:
            verb = "has" if len(self.others) == 1 else "have"
            names = ", ".join(self.others)
            notes.append(f"{names} {verb} no learning curve: no record of a run here.")
        if len(self.runs) > STYLES:
            notes.append(f"The charts of learning curves show the first {STYLES} runs.")
        return tuple(notes)


def learning_curves(entries: Iterable[ModelEntry]) -> LearningCurves:
    """Return the learning curves of models, from the records of their runs.

    Files of earlier versions are read, and so is what is whole in damaged ones.
    """
    found: dict[Path, dict[str, str]] = {}
    others = []
    for entry in entries:
        run = None if entry.path is None else _run_of(entry.path)
        if run is None or entry.path is None:
            others.append(entry.name)
        else:
            found.setdefault(run, {})[entry.name] = entry.path.name
    runs = []
    for folder, models in found.items():
        events = read_events(folder)
        curves = Curves(events)
        if not any(name in curves for name in _LOSSES):
            others += models
            continue
        runs.append(
            TrainingRun(
                name=run_name(folder),
                curves=curves,
                models={
                    name: max(curves.saved(checkpoint), default=None)
                    for name, checkpoint in models.items()
                },
                finished=any(isinstance(event, RunFinished) for event in events),
            )
        )
    return LearningCurves(runs=tuple(runs), others=tuple(others))


def charts(found: LearningCurves) -> list[Chart]:
    """Return a chart of each loss and each score on val, with a curve for each run that has it."""
    runs = found.runs[:STYLES]
    scores = dict.fromkeys(name for run in runs for name in run.curves.scores)
    titles = {_VAL: "Loss per token (val)"} | {_of_val(name): f"{name} (val)" for name in scores}
    titles |= {_TRAINING: "Loss per token (training)"}
    panels = (_panel(runs, name, title) for name, title in titles.items())
    return [line_chart(panel) for panel in panels if panel.lines]


def table(found: LearningCurves) -> Table:
    """Return where each run ended, with the best value on the way."""
    scores = dict.fromkeys(name for run in found.runs for name in run.curves.scores)
    names = _LOSSES | {_of_val(name): f"{name} on val" for name in scores}
    return Table(
        caption="Training: the last value of each run (its best value, and the step of that)",
        heads=("", *(run.name for run in found.runs)),
        rows=[
            ("compared models: step", *map(_saved, found.runs)),
            ("epochs", *(f"{run.curves.axis.epoch:,}" for run in found.runs)),
            ("steps", *(f"{run.curves.axis.step:,}" for run in found.runs)),
            *(
                (title, *(_last_and_best(name, run.curves) for run in found.runs))
                for name, title in names.items()
            ),
        ],
        numbers=1,
    )


def best_point(name: str, points: Points) -> tuple[int, float]:
    """Return the (step, value) point where a number was best, the first of equals."""
    choose = min if name in _LOSSES else max
    return choose(points, key=lambda point: point[1])


def _run_of(model: Path) -> Path | None:
    """Return the folder of the run that a model folder is a checkpoint of."""
    is_run = model.name in CHECKPOINTS and (model.parent / EVENTS_FILE).is_file()
    return model.parent if is_run else None


def _of_val(score: str) -> str:
    return f"val/{score}"


def _panel(runs: Sequence[TrainingRun], name: str, title: str) -> Panel:
    lines, marks, words = [], [], []
    for number, run in enumerate(runs):
        points = run.curves.points(name)
        if points:
            lines.append(Line.of(run.name, points, style=number))
        measured = {} if name == _TRAINING else dict(points)
        for model, step in run.models.items():
            if step in measured:
                marks.append((step, measured[step]))
                words.append(f"{model} saved at {step:,} ({short(measured[step])})")
    return Panel(
        title=title,
        lines=tuple(lines),
        saved="compared model" if marks else "",
        marks=tuple(marks),
        marks_in_words=", ".join(words),
    )


def _saved(run: TrainingRun) -> str:
    """Return the run's compared checkpoints, each with its step."""
    steps = {name.rpartition("/")[2]: step for name, step in run.models.items()}
    return ", ".join(name if step is None else f"{name} {step:,}" for name, step in steps.items())


def _last_and_best(name: str, curves: Curves) -> str:
    points = curves.points(name)
    if not points:
        return ""
    step, best = best_point(name, points)
    return f"{points[-1][1]:.4f} ({best:.4f}, {step:,})"
