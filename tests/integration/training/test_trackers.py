"""What trackers make of a run: Weights & Biases read back from its file, TensorBoard, pages.

One run, stopped in its second epoch and killed in its third, serves most of the tests.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from PIL import Image

from capgen.cli.main import main
from capgen.errors import MissingDependencyError, TrainingStopped
from capgen.models.run_events import read_events
from capgen.records import EpochEvent, Notice, RunFinished, SampleEvent, StageFinished, StepEvent
from capgen.training import tracking
from capgen.training.plan.stages import resolve_plan
from capgen.training.run.stop_request import StopRequest
from capgen.training.run.train import resume, train
from capgen.training.run.train_stages import resume_run, train_stages
from capgen.training.tracking.wandb.tracker import WandbTracker
from tests.minis import write_flickr8k
from tests.offline_wandb import read_wandb_file
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2
from tests.training_runs import SENTENCES, clip_config, eight_images, of_kind

KEY = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def captured_stdout(file):
    """Collect what this process and its children write to their stdout."""
    sys.stdout.flush()
    kept = os.dup(1)
    with file.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set of drawn images and the parts of a model."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tracked")
    write_flickr8k(folder / "data", eight_images(val=4))
    save_tiny_clip(folder / "clip")
    save_tiny_gpt2(folder / "gpt2", SENTENCES)
    yield folder
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tracked(place):
    """A run followed by all trackers, stopped in its second epoch, killed in its third."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place / "home"))
        patch.setenv("CAPGEN_HOME", str(place / "home" / "capgen"))
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_API_KEY", KEY)
        (place / "cwd").mkdir()
        patch.chdir(place / "cwd")
        config = clip_config(
            place,
            place / "data",
            wandb=True,
            wandb_project="captions",
            wandb_run_name="first try",
            wandb_checkpoints="each",
            tensorboard=True,
            batch_size=3,
            num_epochs=3,
            save_every=0,
            learning_rate=3e-3,
        )
        with captured_stdout(place / "stdout.txt"):
            stop = StopRequest()
            last = None
            with pytest.raises(TrainingStopped):
                for event in train(config, stop=stop):
                    last = event
                    if isinstance(event, StepEvent) and event.step == 4:
                        stop.signal = signal.SIGINT
            assert isinstance(last, Notice)
            assert "wandb sync" in last.message
            assert "Stopped at step 5 of 9" in (place / "run" / "run.html").read_text()
            events = resume(place / "run")
            for event in events:
                if isinstance(event, StepEvent) and event.step == 8:
                    events.close()  # as if killed: the state is that of the second epoch's end
            events = list(resume(place / "run"))
    assert isinstance(events[-1], RunFinished)
    return place / "run"


@pytest.fixture(scope="module")
def sessions(tracked):
    return [read_wandb_file(file) for file in sorted(tracked.glob("wandb/offline-run-*/*.wandb"))]


def test_all_sessions_are_one_run(sessions):
    assert len(sessions) == 3
    assert len({session.run_id for session in sessions}) == 1
    for session in sessions:
        assert (session.project, session.name) == ("captions", "first try")
        assert session.ended


def test_the_curves_are_those_of_the_run(tracked, sessions):
    events = read_events(tracked)
    points = [point for session in sessions for point in session.history]
    steps = [(point["step"], point["train/loss"]) for point in points if "train/loss" in point]
    expected = {event.step: event.loss for event in of_kind(StepEvent, events)}
    assert dict(steps) == pytest.approx(expected)
    assert len(steps) == len(expected), "no step twice"
    for name in ("val/loss", "val/METEOR", "val/CIDEr-D", "best/METEOR", "best/loss"):
        assert len([point for point in points if name in point]) == 3, name
    values = [point["val/CIDEr-D"] for point in points if "val/CIDEr-D" in point]
    best = [point["best/CIDEr-D"] for point in points if "best/CIDEr-D" in point]
    assert best == [max(values[: count + 1]) for count in range(3)]
    rates = {name for point in points for name in point if name.startswith("learning_rate/")}
    assert rates == {"learning_rate/new", "learning_rate/encoder", "learning_rate/decoder"}
    assert all(point["train/images_per_second"] > 0 for point in points if "train/loss" in point)
    places = [point["_step"] for point in points]
    assert places == sorted(set(places))
    assert "test/METEOR" in sessions[-1].summary


def test_each_epoch_has_a_table_of_images(tracked, sessions):
    tables = [
        artifact["files"]
        for session in sessions
        for artifact in session.artifacts
        if artifact["type"] == "run_table"
    ]
    points = [point for session in sessions for point in session.history if "samples" in point]
    assert [point["epoch"] for point in points] == [1, 2, 3]
    assert [point["samples"]["nrows"] for point in points] == [4, 4, 4]
    samples = of_kind(SampleEvent, read_events(tracked))
    for epoch, files in enumerate(tables, start=1):
        table = json.loads(Path(files["samples.table.json"]).read_text())
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
        captions = {event.image: event for event in samples if event.epoch == epoch}
        assert {row["image"] for row in rows} == set(captions)
        for row in rows:
            event = captions[row["image"]]
            assert row["epoch"] == epoch
            assert row["caption"] == event.caption
            assert row["references"] == "\n".join(event.references)
            assert row["METEOR"] == pytest.approx(event.metrics["METEOR"])
            with Image.open(files[row["photo"]["path"]]) as image:
                assert max(image.size) <= 320
    assert len(tables) == 3


def test_checkpoints_are_artifacts_that_say_what_they_are(tracked, sessions):
    models = [
        artifact
        for session in sessions
        for artifact in session.artifacts
        if artifact["type"] == "model"
    ]
    names = {artifact["name"] for artifact in models}
    assert names == {"first-try-best-eval", "first-try-best-loss", "first-try-last"}
    for artifact in models:
        metadata = artifact["metadata"]
        assert f"epoch-{metadata['epoch']}" in artifact["aliases"]
        assert {"loss", "METEOR", "BLEU-4"} <= set(metadata["metrics"]["val"])
        for name in ("model.safetensors", "config.json", "tokenizer.json", "capgen.json"):
            assert Path(artifact["files"][name]).is_file()
    by_name = {artifact["name"]: artifact["metadata"] for artifact in models}
    assert by_name["first-try-best-eval"]["criterion"] == "meteor-centric"
    assert "METEOR" in by_name["first-try-best-eval"]["metrics"]["test"]
    assert by_name["first-try-best-loss"]["criterion"] == "loss"
    assert by_name["first-try-last"]["epoch"] == 3
    epochs = [
        artifact["metadata"]["epoch"] for artifact in models if "best-loss" in artifact["name"]
    ]
    assert epochs == sorted(epochs)


def test_the_settings_are_in_it(sessions):
    assert sessions[0].config["learning_rate"] == 3e-3
    assert sessions[0].config["eval_strategy"] == "meteor-centric"
    assert sessions[0].config["run"]["steps"] == 9


def test_nothing_holds_the_key_and_nothing_lies_elsewhere(place, tracked):
    files = [path for path in place.rglob("*") if path.is_file()]
    assert len(files) > 50
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert not list((place / "cwd").iterdir())
    outside = [path for path in (place / "home").rglob("*") if "wandb" in str(path)]
    assert not outside
    assert (place / "stdout.txt").read_bytes() == b""


def test_tensorboard_shows_the_same(tracked):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = read_events(tracked)
    board = EventAccumulator(str(tracked / "tensorboard"), {"scalars": 0, "tensors": 0})
    board.Reload()
    losses = {item.step: item.value for item in board.Scalars("train/loss")}
    assert losses == pytest.approx({event.step: event.loss for event in of_kind(StepEvent, events)})
    assert [item.step for item in board.Scalars("val/METEOR")] == [3, 6, 9]
    meteor = of_kind(EpochEvent, events)[-1].metrics["METEOR"]
    assert board.Scalars("val/METEOR")[-1].value == pytest.approx(meteor)
    assert "best/METEOR" in board.Tags()["scalars"]
    assert len(board.Tags()["images"]) == 4
    table = board.Tensors("samples/text_summary" if "samples/text_summary" in
                          board.Tags()["tensors"] else "samples")  # fmt: skip
    last = of_kind(SampleEvent, events)[-1]
    assert last.caption in table[-1].tensor_proto.string_val[0].decode()
    assert "learning_rate" in board.Tensors("settings")[0].tensor_proto.string_val[0].decode()


STAGES = """
[[stage]]
name = "first"
num_epochs = 1

[[stage]]
name = "second"
num_epochs = 1
"""


def test_a_run_in_stages_is_one_run(place, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "stages.toml").write_text(STAGES)
    settings = clip_config(
        place, place / "data", wandb=True, tensorboard=True, output_dir=tmp_path / "run"
    ).to_dict()
    given = {name: value for name, value in settings.items() if value is not None}
    given |= {name: Path(given[name]) for name in ("data_dir", "output_dir")}
    del given["num_epochs"]
    plan = resolve_plan(given, file=tmp_path / "stages.toml")
    stop = StopRequest()
    with pytest.raises(TrainingStopped):
        for event in train_stages(plan, stop=stop):
            if isinstance(event, StageFinished):
                stop.signal = signal.SIGINT  # the second stage stops at its first step
    events = list(resume_run(tmp_path / "run"))
    assert isinstance(events[-1], RunFinished)
    files = sorted((tmp_path / "run").glob("wandb/offline-run-*/*.wandb"))
    points = [point for file in files for point in read_wandb_file(file).history]
    assert [point["step"] for point in points if "train/loss" in point] == [1, 2, 3, 4]
    assert [point["epoch"] for point in points if "val/loss" in point] == [1, 2]
    assert not list((tmp_path / "run" / "stages").glob("*/wandb"))
    page = (tmp_path / "run" / "run.html").read_text()
    for words in ("Finished stages", "1 first", "2 second", "Finished after 2 epochs, 4 steps"):
        assert words in page
    assert (tmp_path / "run" / "stages" / "2-second" / "run.html").is_file()


def service_of(run):
    """Return the pids of W&B's service for a run, found by its parent's working folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if b"wandb-core" in command and Path(f"/proc/{parent}/cwd").resolve() == run:
                found.append(int(entry.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find the service")
def notices_of(tracker, events):
    """Return the notices about a tracker: there are others, of few images."""
    return [event for event in of_kind(Notice, events) if tracker in event.message]


def test_a_killed_service_does_not_stop_training(place, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    config = clip_config(place, place / "data", wandb=True, output_dir=run, num_epochs=3)
    events, killed = [], []
    for event in train(config):
        events.append(event)
        if isinstance(event, EpochEvent) and event.epoch == 1:
            end = time.monotonic() + 30
            while not (run / "wandb" / "run.json").is_file() and time.monotonic() < end:
                time.sleep(0.05)
            killed = service_of(run)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
    assert killed
    assert isinstance(events[-1], RunFinished)
    assert events[-1].epochs == 3
    (notice,) = notices_of("WandbTracker", events)
    assert "WandbTracker failed and is now off" in notice.message


def test_a_process_that_hangs_is_not_waited_for(place, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    told = []
    config = clip_config(place, place / "data", wandb=True)
    tracker = WandbTracker(config, told.append, patience=0.5)
    tracker.start(tmp_path, config.to_dict())
    pid = tracker._worker.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        for step in range(1, 3000):  # more than a pipe holds
            tracker.event(
                StepEvent(step=step, epoch=1, loss=1.0, learning_rate=0.1, images_per_second=1.0)
            )
        tracker.event(RunFinished(run="run", epochs=1, steps=1, seconds=1.0))
        tracker.finish()
        assert time.monotonic() - begun < 10
        assert "continues in the background" in told[-1]
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_full_disk_of_the_trackers_does_not_stop_training(
    place, tmp_path, small_disk, monkeypatch, caplog
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("wandb", "tensorboard"):
        (small_disk / name).mkdir()
        (run / name).symlink_to(small_disk / name)
    config = clip_config(
        place, place / "data", wandb=True, tensorboard=True, output_dir=run, num_epochs=2
    )
    events = []
    for event in train(config):
        events.append(event)
        if isinstance(event, EpochEvent) and event.epoch == 1:
            with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as stream:
                while stream.write(bytes(1024)):
                    pass
    assert isinstance(events[-1], RunFinished)
    messages = " ".join(notice.message for notice in of_kind(Notice, events))
    assert "WandbTracker failed" in messages
    assert "TensorboardTracker failed" in messages
    # Tracebacks that pytest keeps hold the trackers' open files, and those the disk.
    caplog.clear()
    gc.collect()


def test_a_page_that_cannot_be_written_does_not_stop_training(place, tmp_path):
    (tmp_path / "run" / "run.html").mkdir(parents=True)
    (tmp_path / "run" / "run.html" / "file").touch()
    config = clip_config(place, place / "data", output_dir=tmp_path / "run", num_epochs=1)
    events = list(train(config))
    assert isinstance(events[-1], RunFinished)
    (notice,) = notices_of("PageTracker", events)
    assert "PageTracker failed" in notice.message


class Failing:
    """A tracker that fails at the first step."""

    def __init__(self):
        self.told = []

    def start(self, run, settings):
        self.told.append("start")

    def event(self, event):
        if isinstance(event, StepEvent):
            self.told.append("step")
            raise ZeroDivisionError("a mistake in the tracker")

    def finish(self):
        self.told.append("finish")


def test_a_tracker_that_fails_leaves_its_traceback_in_the_log(place, tmp_path, caplog, capfd):
    config = clip_config(place, place / "data", output_dir=tmp_path / "run", num_epochs=1)
    tracker = Failing()
    events = list(train(config, tracker=tracker))
    assert isinstance(events[-1], RunFinished)
    assert tracker.told == ["start", "step"], "it is left alone once it has failed"
    (notice,) = notices_of("Failing", events)
    assert notice.message == (
        "Failing failed and is now off: ZeroDivisionError: a mistake in the tracker"
    )
    assert notice in read_events(tmp_path / "run")
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info[0] is ZeroDivisionError
    assert "in event" in caplog.text and "Traceback" in caplog.text
    assert "Traceback" not in capfd.readouterr().err, "a user reads the notice, not this"


def test_tensorboard_missing_says_what_to_install(place, tmp_path, monkeypatch):
    plain = tracking.importlib.util.find_spec
    monkeypatch.setattr(
        tracking.importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "tensorboard" else plain(name, *rest),
    )
    config = clip_config(place, place / "data", tensorboard=True, output_dir=tmp_path / "run")
    with pytest.raises(MissingDependencyError) as caught:
        list(train(config))
    assert caught.value.hint == "pip install 'capgen[tensorboard]'"
    assert not (tmp_path / "run").exists()


def test_the_doctor_sends_a_run(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "wandb", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    names = [check["name"] for check in found["checks"]]
    assert names == ["package", "online", "run", "file"]
    assert not list(tmp_path.iterdir())


def test_the_doctor_names_what_is_missing(monkeypatch, capsys):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "2")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert main(["doctor", "wandb", "--json"]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert not checks["online"]["ok"]
    assert "WANDB_BASE_URL" in checks["online"]["cure"]
    assert checks["file"]["ok"]  # what goes wrong is sending, not recording
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["doctor", "wandb"]) == 1
    assert "Unset WANDB_MODE" in capsys.readouterr().out
