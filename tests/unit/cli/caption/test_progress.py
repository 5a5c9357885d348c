"""What is said of many images: progress and the summary."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from capgen.captioning.batch.pipeline import BatchFinished, ImageDone
from capgen.captioning.batch.sources import FileSource
from capgen.cli import console, live_bar
from capgen.cli.caption import progress
from capgen.cli.caption.progress import BatchScreen, summary
from capgen.cli.time_left import TimeLeft
from capgen.records import Caption


@pytest.mark.parametrize(
    ("finished", "written", "kept", "text"),
    [
        (BatchFinished(captions=5, reused=3), "a.jsonl", 0, "5 captions written to a.jsonl, 3 of"),
        # None of those written is an earlier run's.
        (BatchFinished(captions=5, reused=5), "sidecars", 5, "0 captions written to sidecars; 5 r"),
        # Nor is one that sidecars have already.
        (BatchFinished(captions=5), "sidecars", 1, "2 captions written to sidecars; 2 already th"),
        # The speed is that of the images of this run.
        (BatchFinished(captions=100, reused=90, seconds=10), "a.jsonl", 0, "(0:10, 1.0 images/s)"),
    ],
)
def test_the_summary_counts_what_it_says(finished, written, kept, text) -> None:
    assert text in summary(finished, written, kept=kept, already=2 if "already" in text else 0)


def test_a_note_of_several_images_is_counted(capsys) -> None:
    records = [
        Caption(text="a dog", log_probability=-1.0, score=-0.5, notes=notes)
        for notes in (("cut off",), (), ("cut off",), ("odd",), ("cut off",))
    ]
    with BatchScreen(console.Console(), len(records)) as screen:
        for record in records:
            screen.show(ImageDone(source=FileSource(Path("a.png")), record=record, reused=False))
    lines = [line for line in capsys.readouterr().err.splitlines() if "images/s" not in line]
    assert lines == ["note: cut off", "note: odd", "note: 3 images: cut off"]


def test_the_time_left_is_not_that_of_an_earlier_runs_records(monkeypatch) -> None:
    """90 of 100 images are known; each of the others takes two seconds."""
    now, lines = [0.0], list[str]()
    clock = SimpleNamespace(monotonic=lambda: now[0])
    for module in (progress, live_bar):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(live_bar, "TimeLeft", lambda: TimeLeft(clock.monotonic))
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    told = console.Console()
    monkeypatch.setattr(told, "note", lines.append)
    record = Caption(text="a dog", log_probability=-1.0, score=-0.5)
    with BatchScreen(told, 100) as screen:
        for number in range(95):
            now[0] += 0.0 if number < 90 else 2.0
            source = FileSource(Path("a.png"))
            screen.show(ImageDone(source=source, record=record, reused=number < 90))
    assert lines[-1] == "95/100 images, 0.5 images/s, 0:10 left"
