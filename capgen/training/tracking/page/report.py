"""The content of a run's page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from capgen.models.run_events import Axis
from capgen.pages.line_chart import line_chart
from capgen.pages.page import Table, render
from capgen.records import (
    Event,
    LimitPassed,
    Notice,
    RunFinished,
    RunResumed,
    RunStarted,
    StageFinished,
    StageStarted,
    TestEvent,
)
from capgen.training.tracking.page.panels import epochs, panels
from capgen.training.tracking.page.samples import Images

_NOTICES = 20


def run_page(
    name: str,
    events: Sequence[Event],
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    *,
    stopped: bool,
    images: Images,
) -> str:
    """Return the page of a run as HTML.

    `environment` is what the run depends on in addition to its settings; `stopped` means that
    it is not at work any more.
    """
    notices = [event.message for event in events if isinstance(event, Notice | LimitPassed)]
    return render(
        "run.html",
        title=f"Training run {name}",
        state=_state(name, events, stopped=stopped),
        facts=list(_facts(events)),
        notices=notices[-_NOTICES:],
        curves=[line_chart(panel) for panel in panels(events)],
        epochs=_epochs(events),
        samples=images.cards(events),
        settings=Table(caption="Settings of the run", rows=_rows(settings)),
        environment=Table(caption="Where it ran", rows=_rows(environment)),
    )


def _facts(events: Sequence[Event]) -> Iterator[Table]:
    started = _last(events, RunStarted)
    if started is not None:
        images = ", ".join(f"{count:,} {split}" for split, count in started.images.items())
        facts = {
            # A preset makes new models; of an existing one it only gives settings.
            **({"started from": started.init} if started.init else {"preset": started.preset}),
            "encoder": started.encoder,
            "decoder": started.decoder,
            "parameters": f"{started.parameters:,}, {started.trained:,} of them trained",
            "images": images,
            "captions": f"{started.captions:,}",
            "device": f"{started.device}, {started.precision}",
        }
        yield Table(caption="The model and its data", rows=[row for row in facts.items() if row[1]])
    stages = [event for event in events if isinstance(event, StageFinished)]
    if stages:
        rows = [
            (f"{stage.number} {stage.stage}", f"{stage.epochs}", f"{stage.steps:,}",
             f"{stage.seconds:,.0f}",
             "" if stage.best_eval is None else f"{stage.eval_metric} {stage.best_eval:.4f}")
            for stage in stages
        ]  # fmt: skip
        heads = ("Stage", "Epochs", "Steps", "Seconds", "Best on val")
        yield Table(caption="Finished stages", heads=heads, rows=rows, numbers=1)
    yield from _tests(events)


def _tests(events: Sequence[Event]) -> Iterator[Table]:
    """Yield the scores on test splits, with their stages."""
    stage = ""
    for event in events:
        if isinstance(event, StageStarted):
            stage = f" of stage {event.number} {event.stage}"
        elif isinstance(event, TestEvent):
            rows = [("loss", f"{event.loss:.4f}")]
            rows += [(metric, f"{value:.4f}") for metric, value in event.metrics.items()]
            caption = f"{event.name}{stage} on {event.images:,} images of the test split"
            yield Table(caption=caption, heads=("Metric", "Score"), rows=rows, numbers=1)


def _state(name: str, events: Sequence[Event], *, stopped: bool) -> str:
    finished = events[-1]
    if isinstance(finished, RunFinished):
        minutes, seconds = divmod(round(finished.seconds), 60)
        text = f"Finished after {finished.epochs} epochs, {finished.steps:,} steps"
        text += f" and {minutes}:{seconds:02d} minutes."
        if finished.best_eval is not None:
            text += f" Best model: {finished.eval_metric} {finished.best_eval:.4f} on val."
        return text
    started = _last(events, RunStarted, RunResumed)
    step = Axis.along(events).step
    staged = _last(events, StageStarted) is not None  # then the total is that of one stage
    of = "" if started is None or staged else f" of {started.steps:,}"
    if stopped:
        return f"Stopped at step {step:,}{of}. Continue with: capgen train --resume {name}"
    return f"Training when this was written: step {step:,}{of}."


def _epochs(events: Sequence[Event]) -> Table | None:
    history = epochs(events)
    if not history:
        return None
    metrics = list(dict.fromkeys(name for _, event, _ in history for name in event.metrics))
    rows = [
        (
            number,
            ", ".join(saved),
            f"{event.step:,}",
            f"{event.train_loss:.4f}",
            "" if event.val_loss is None else f"{event.val_loss:.4f}",
            *(f"{event.metrics[name]:.4f}" if name in event.metrics else "" for name in metrics),
            f"{event.seconds + event.eval_seconds:,.0f}",
        )
        for number, event, saved in history
    ]
    heads = ("Epoch", "Saved as", "Step", "Training loss", "Val loss", *metrics, "Seconds")
    return Table(caption="Losses per token, and scores on val", heads=heads, rows=rows, numbers=2)


def _rows(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return a record, and the records in it, as rows."""
    rows = []
    for name, value in record.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += _rows(value, f"{label}: ")
        elif isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value, start=1):
                rows += _rows(item, f"{label} {number}: ")
        elif value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            rows.append((label, text))
    return rows


def _last(events: Sequence[Event], *kinds: type[Any]) -> Any:
    return next((event for event in reversed(events) if isinstance(event, kinds)), None)
