"""The learning curves of compared models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from capgen.models.run_events import EVENTS_FILE
from capgen.pages.line_chart import STYLES
from capgen.paths import runs_dir
from capgen.records import Event
from capgen.registry.entries import ModelEntry
from capgen.registry.learning_curves import charts, learning_curves, table
from capgen.registry.listing import find_model
from tests.unit.registry.folders import write_model, write_run
from tests.unit.training.tracking.page.recorded_runs import epoch_of, finished, started

OLD = Path(__file__).parents[2] / "data" / "v0.1"


def recorded(folder: Path, events: Iterable[Event]) -> None:
    lines = [json.dumps(event.to_dict()) for event in events]
    (folder / EVENTS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def trained(name: str, *scores: float, end: bool = True) -> list[ModelEntry]:
    """Return the checkpoints of a run with a score for each epoch."""
    folder = write_run(runs_dir(), name, "best-eval", "best-loss")
    events = started(epochs=len(scores))
    for number, score in enumerate(scores, start=1):
        events += epoch_of(number, images=[], captions=[], score=score)
    recorded(folder, [*events, *(finished() if end else [])])
    return [find_model(f"{name}/{kind}") for kind in ("best-eval", "best-loss")]


def test_two_runs_and_models_of_none(tmp_path: Path) -> None:
    first, second = trained("slow", 0.1, 0.3, 0.2), trained("quick", 0.4, end=False)
    kept = write_model(tmp_path / "kept")
    found = learning_curves([*first, second[0], find_model(str(kept)), find_model("mini")])
    assert [run.name for run in found.runs] == ["slow", "quick"]
    assert found.others == (str(kept), "mini")
    assert found.notes == (f"{kept}, mini have no learning curve: no record of a run here.",)
    slow, quick = (run.to_dict() for run in found.runs)
    assert slow["models"] == {"slow/best-eval": 30, "slow/best-loss": 30}
    assert (slow["epochs"], slow["steps"], slow["finished"]) == (3, 30, True)
    assert slow["last"]["val/CIDEr-D"] == 0.2
    assert slow["best"]["val/CIDEr-D"] == {"value": 0.3, "step": 20}
    assert slow["best"]["val/loss"] == {"value": 1.0, "step": 30}
    assert (quick["models"], quick["finished"]) == ({"quick/best-eval": 10}, False)


def test_charts_have_a_curve_for_each_run_and_a_mark_for_each_model() -> None:
    runs = [*trained("slow", 0.1, 0.3, 0.2), *trained("quick", 0.4)[:1]]
    shown = charts(learning_curves(runs))
    assert [chart.title for chart in shown] == [
        "Loss per token (val)",
        *(f"{name} (val)" for name in ("BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR")),
        "Loss per token (training)",
    ]
    cider = shown[3]
    assert [curve.name for curve in cider.curves] == ["slow", "quick"]
    assert len(cider.curves[0].places) == 3
    assert len({curve.style for curve in cider.curves}) == 2
    assert len(cider.marks) == 3
    assert "quick/best-eval saved at 10 (0.4)" in cider.summary
    assert not shown[-1].marks
    for chart in shown:
        for curve in chart.curves:
            across = [x for x, _ in curve.places]
            assert across == sorted(across), "a zigzag"


def test_a_run_has_the_same_style_in_every_chart() -> None:
    entries = [trained("first", 0.1, 0.2)[0], trained("second", 0.3, 0.4)[0]]
    lines = (runs_dir() / "first" / EVENTS_FILE).read_text(encoding="utf-8")
    (runs_dir() / "first" / EVENTS_FILE).write_text(lines.replace("METEOR", "SPICE"))
    styles = {
        chart.title: {curve.name: curve.style for curve in chart.curves}
        for chart in charts(learning_curves(entries))
    }
    both = styles["CIDEr-D (val)"]
    assert styles["METEOR (val)"] == {"second": both["second"]}
    assert styles["SPICE (val)"] == {"first": both["first"]}


def test_the_table_has_ends_and_bests() -> None:
    runs = [*trained("slow", 0.1, 0.3, 0.2), *trained("quick", 0.4)[:1]]
    made = table(learning_curves(runs))
    assert made.heads == ("", "slow", "quick")
    rows = {row[0]: row[1:] for row in made.rows}
    saved = ("best-eval 30, best-loss 30", "best-eval 10")
    assert rows["compared models: step"] == saved
    assert rows["CIDEr-D on val"] == ("0.2000 (0.3000, 20)", "0.4000 (0.4000, 10)")
    assert rows["epochs"] == ("3", "1")


def test_more_runs_than_styles() -> None:
    entries = [trained(f"run{number}", 0.1)[0] for number in range(STYLES + 1)]
    found = learning_curves(entries)
    assert found.notes == (f"The charts of learning curves show the first {STYLES} runs.",)
    assert all(len(chart.curves) == STYLES for chart in charts(found))
    assert len(table(found).heads) == STYLES + 2


def test_runs_of_earlier_versions_and_damaged_records(tmp_path: Path) -> None:
    entries = []
    for name in ("run", "staged"):
        folder = write_run(runs_dir(), name, "best-eval")
        shutil.copy(OLD / name / EVENTS_FILE, folder)
        entries.append(find_model(f"{name}/best-eval"))
    damaged = write_run(runs_dir(), "damaged", "last")
    (damaged / EVENTS_FILE).write_bytes(
        b'{"event": "step", "step": "x", "epoch": 1}\n\xff\x00\n{"event": "epoch", "epoch": 1, '
        b'"step": 3, "train_loss": 2.0, "metrics": ["a"]}\n{"event": "st'
    )
    entries.append(find_model("damaged/last"))
    found = learning_curves(entries)
    assert [run.name for run in found.runs] == ["run", "staged"]
    assert found.others == ("damaged/last",)
    assert all(chart.curves for chart in charts(found))
    for run in found.runs:
        assert run.to_dict()["last"]["val/loss"] > 0
        assert all(step for step in run.models.values())


@pytest.mark.parametrize("names", [["mini"], ["mini", "mini:int8"]])
def test_without_a_run_there_is_nothing_to_say(names: list[str]) -> None:
    found = learning_curves(find_model(name) for name in names)
    assert found.runs == found.notes == ()
    assert found.others == tuple(names)
