"""Runs in stages: each stage from the last one's best, in one folder, whatever interrupts."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal

import pytest
import torch

from capgen.cli.main import main
from capgen.errors import DataError, TrainingStopped, UsageError
from capgen.models.resolve import resolve_model
from capgen.records import Notice, RunCreated, RunFinished, StageFinished, StageStarted, StepEvent
from capgen.training.optimization.trainer import Trainer
from capgen.training.plan.stages import resolve_plan
from capgen.training.run import train
from capgen.training.run import train_stages as stages_module
from capgen.training.run.stop_request import StopRequest
from capgen.training.run.train_stages import resume_run, train_stages
from tests.integration.training.test_resume import NOISE, assert_same, events, weights
from tests.minis import write_flickr8k
from tests.tiny_models import TINY, save_tiny_mini
from tests.training_runs import NO_NOISE, SENTENCES, eight_images

STAGES = """
[[stage]]
name = "first"
num_epochs = 2

[[stage]]
name = "second"
num_epochs = 1
learning_rate = 1e-3
dropout = 0.1
"""


class Killed(BaseException):
    """What no code catches, as nothing catches SIGKILL."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data, a captioner to start from and the stages; only read."""
    folder = tmp_path_factory.mktemp("stages")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the tests: the number changes the order of sums
    write_flickr8k(folder / "data", eight_images())
    save_tiny_mini(folder / "mini", SENTENCES, variant=TINY)
    (folder / "stages.toml").write_text(STAGES, encoding="utf-8")
    yield folder
    torch.set_num_threads(threads)


def make_plan(place, run, data=None):
    """Return two stages: two epochs of three steps, then one."""
    settings = {**NO_NOISE, **NOISE, "eval": False, "save_every": 1}
    del settings["dropout"], settings["learning_rate"]
    model = {"preset": "mini", "init": str(place / "mini"), "data_dir": data or place / "data"}
    flags = {**settings, **model, "output_dir": run}
    return resolve_plan(flags, file=place / "stages.toml")


@pytest.fixture(scope="module")
def whole(place):
    """A run that nothing disturbed; only read."""
    for _ in train_stages(make_plan(place, place / "whole")):
        pass
    return place / "whole"


@pytest.fixture
def plan(place, tmp_path):
    """Return a function that makes the plan of a run of that name."""
    return lambda name: make_plan(place, tmp_path / name)


def test_each_stage_starts_from_the_best_before_and_the_last_one_is_the_result(tmp_path, plan):
    happened = list(train_stages(plan("run")))
    run = tmp_path / "run"
    started = [event for event in happened if isinstance(event, StageStarted)]
    assert [(event.number, event.count, event.stage) for event in started] == [
        (1, 2, "first"),
        (2, 2, "second"),
    ]
    assert started[1].init == "stages/1-first/best-eval"
    assert (started[1].steps_before, started[1].epochs_before) == (6, 2)
    assert [type(event) for event in happened].count(StageFinished) == 2
    final = happened[-1]
    assert isinstance(final, RunFinished)
    assert (final.run, final.epochs, final.steps) == (str(run), 3, 9)
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert happened[0] == RunCreated(run=str(run))  # for the caller alone
    assert [json.loads(line)["event"] for line in lines] == [event.event for event in happened[1:]]
    for name in ("best-eval", "best-loss", "last"):
        assert weights(run)[name] == weights(run / "stages" / "2-second")[name]
    provenance = resolve_model(str(run / "best-eval")).provenance
    assert "test" in provenance.metrics
    assert provenance.training["init"] == str(run / "stages" / "1-first" / "best-eval")
    assert not list(run.rglob("state"))


def test_the_second_stage_alone_is_that_run(tmp_path, whole, plan):
    """The same settings from the same checkpoint, as a run without stages."""
    config = plan("alone").stages[1].config_in(whole)
    for _ in train.train(dataclasses.replace(config, output_dir=tmp_path / "alone")):
        pass
    assert weights(tmp_path / "alone") == weights(whole)


@pytest.mark.parametrize("count", [1, 12, 20])
def test_a_run_killed_at_any_event_goes_on_exactly(tmp_path, plan, whole, count):
    """Dropped without a chance to clean up at one event after the other, in all stages."""
    running = train_stages(plan("killed"))
    for number, _ in enumerate(running):
        if number == count:
            break
    running.close()
    list(resume_run(tmp_path / "killed"))
    assert_same(whole, tmp_path / "killed")


def test_what_trackers_of_the_whole_run_say_stays_in_its_events(tmp_path, plan):
    page = tmp_path / "run" / "run.html"
    page.mkdir(parents=True)  # where the page should go
    (page / "file").touch()
    running = train_stages(plan("run"))
    for event in running:
        if isinstance(event, StageStarted) and event.number == 2:
            break
    next(running)
    running.close()
    with (tmp_path / "run" / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "noti')  # cut short
    shutil.rmtree(page)
    list(resume_run(tmp_path / "run"))
    recorded = events(tmp_path / "run")
    kinds = [record["event"] for record in recorded]
    (place,) = (i for i, record in enumerate(recorded) if "PageTracker" in str(record))
    assert kinds[place] == Notice.event
    assert kinds.index(StageStarted.event) < place < kinds.index(StageFinished.event)


@pytest.mark.parametrize("moment", ["before", "between", "promoting", "end"])
def test_a_run_killed_between_stages_goes_on_exactly(tmp_path, plan, whole, monkeypatch, moment):
    def killed(*arguments, **named):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "before":
            patch.setattr(stages_module.train, "new_session", killed)
        elif moment == "promoting":
            patch.setattr(stages_module.StagedFolder, "promote", killed)
        elif moment == "between":
            patch.setattr(stages_module, "stage_finished", killed)
        else:
            patch.setattr(stages_module.StagedFolder, "final", killed)
        with pytest.raises(Killed):
            list(train_stages(plan("killed")))
    list(resume_run(tmp_path / "killed"))
    assert_same(whole, tmp_path / "killed")


def test_a_run_stopped_in_its_second_stage_is_moved_and_goes_on(tmp_path, plan, whole, monkeypatch):
    stop, plain = StopRequest(), Trainer._step

    def step(self, numbers):
        plain(self, numbers)
        if self.step == 2 and self.config.dropout == 0.1:
            stop.note(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", step)
        with pytest.raises(TrainingStopped) as caught:
            list(train_stages(plan("stopped"), stop=stop))
    assert caught.value.exit_code == 130
    assert caught.value.hint.endswith(f"--resume {tmp_path / 'stopped'}")
    # What there is so far has the run's name already.
    assert weights(tmp_path / "stopped") == weights(tmp_path / "stopped" / "stages" / "1-first")
    shutil.move(tmp_path / "stopped", tmp_path / "moved")
    list(resume_run(tmp_path / "moved", workers=1))
    assert weights(tmp_path / "moved") == weights(whole)
    steps = [record for record in events(tmp_path / "moved") if record["event"] == "step"]
    assert steps == [record for record in events(whole) if record["event"] == "step"]


def test_other_data_is_noticed_between_stages(tmp_path, place, data):
    running = train_stages(make_plan(place, tmp_path / "run", data))
    for event in running:
        if isinstance(event, StageFinished):
            break
    running.close()
    captions = data / "Flickr8k_text" / "Flickr8k.token.txt"
    text = captions.read_text(encoding="utf-8")
    captions.write_text(text.replace("dog", "fox"), encoding="utf-8")
    with pytest.raises(DataError, match="data set has changed since the first stage"):
        list(resume_run(tmp_path / "run"))
    captions.write_text(text, encoding="utf-8")
    assert isinstance(list(resume_run(tmp_path / "run"))[-1], RunFinished)


def test_a_run_that_is_there_or_over_is_refused(place, tmp_path, whole):
    with pytest.raises(UsageError, match="already holds"):
        list(train_stages(make_plan(place, whole)))
    with pytest.raises(UsageError, match="is finished"):
        list(resume_run(whole))
    (tmp_path / "config.toml").write_bytes((whole / "config.toml").read_bytes())
    with pytest.raises(UsageError, match="has stages"):
        list(train.resume(tmp_path))


def test_a_mistake_leaves_nothing_behind(tmp_path, place, data):
    (data / "Flickr8k_text" / "Flickr8k.token.txt").write_text("", encoding="utf-8")
    with pytest.raises(DataError):
        list(train_stages(make_plan(place, tmp_path / "run", data)))
    assert not (tmp_path / "run").exists()


def test_the_command_shows_the_stages_and_repeats_a_run(tmp_path, whole, capsys):
    settings = str(whole / "config.toml")
    assert main(["train", "--config", settings, "--dry-run"]) == 0
    planned = capsys.readouterr().out
    assert "stage 1: first" in planned
    assert "stage 2: second" in planned
    assert planned.count("memory: about") == 2
    again = tmp_path / "again"
    assert main(["train", "--config", settings, "--output-dir", str(again)]) == 0
    out, shown = capsys.readouterr()
    assert out.strip() == str(again)
    assert "stage 2 of 2: second, from stages/1-first/best-eval" in shown
    assert "stage first done in" in shown
    assert_same(whole, again)
    recorded = (again / "config.toml").read_text(encoding="utf-8")
    assert recorded.replace(str(again), str(whole)) == (whole / "config.toml").read_text()


def test_the_command_knows_the_recipes(capsys):
    assert main(["train", "--config", "minni"]) == 2
    assert "Did you mean 'mini'?" in capsys.readouterr().err
    assert main(["train", "--help"]) == 0
    assert "mini-cpu" in capsys.readouterr().out


def test_steps_are_counted_by_stage(whole):
    recorded = events(whole)
    steps = [record["step"] for record in recorded if record["event"] == StepEvent.event]
    assert steps == [2, 3, 4, 6, 2, 3]
