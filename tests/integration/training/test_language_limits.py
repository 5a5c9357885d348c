"""Self-critical runs end where the language of val's captions has become too narrow."""

from __future__ import annotations

import dataclasses
import json

import pytest

from capgen.cli.main import main
from capgen.cli.train.progress import TrainingScreen
from capgen.errors import UsageError
from capgen.models.resolve import resolve_model
from capgen.models.run_events import read_events
from capgen.records import (
    CheckpointSaved,
    EpochEvent,
    LimitPassed,
    RunFinished,
    StageFinished,
    TestEvent,
    event_from_dict,
)
from capgen.training.plan.stages import resolve_plan
from capgen.training.run.train import resume, train
from capgen.training.run.train_stages import train_stages
from capgen.training.tracking.page.panels import epochs, panels
from capgen.training.tracking.page.tracker import PAGE_FILE
from capgen.training.validation.validate import Validator
from tests.training_runs import of_kind, run_config

WORDS = (90.0, 80.0, 30.0, 95.0)


@pytest.fixture
def narrowing(monkeypatch):
    """Let the captions of one validation after the other have the words of `WORDS`."""
    plain = Validator.run

    def run(self, *arguments):
        result = plain(self, *arguments)
        words = WORDS[counted["epoch"] % len(WORDS)]
        counted["epoch"] += 1
        language = {**result.scores.language, "distinct_words": words}
        return dataclasses.replace(
            result, scores=dataclasses.replace(result.scores, language=language)
        )

    counted = {"epoch": 0}
    monkeypatch.setattr(Validator, "run", run)
    return counted


def scst_config(tmp_path, data, mini, **settings):
    changes = {"objective": "scst", "num_epochs": 4, "eval_strategy": "cider", "test": False}
    return run_config(tmp_path, data, mini, **{**changes, **settings})


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def saved(events, name="best-eval"):
    return [event.epoch for event in of_kind(CheckpointSaved, events) if event.name == name]


def test_the_run_ends_and_keeps_the_best_model_before(tmp_path, data, mini, narrowing, capsys):
    events = list(train(scst_config(tmp_path, data, mini, min_distinct_words=50)))
    assert [event.epoch for event in of_kind(EpochEvent, events)] == [1, 2, 3]
    (passed,) = of_kind(LimitPassed, events)
    assert (passed.epoch, passed.setting, passed.value, passed.limit) == (
        *(3, "min_distinct_words"),
        *(30.0, 50),
    )
    assert saved(events)[:2] == [0, 1]
    assert 3 not in saved(events) + saved(events, "best-loss")
    run = tmp_path / "run"
    provenance = resolve_model(str(run / "best-eval")).provenance
    assert provenance.training["epoch"] in (1, 2)
    assert resolve_model(str(run / "last")).provenance.training["epoch"] == 3
    final = events[-1]
    assert isinstance(final, RunFinished)
    assert (final.epochs, final.eval_metric) == (3, "CIDEr-D")
    # It is recorded, and shown on the screen and on the run's page.
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert passed in [event_from_dict(json.loads(line)) for line in lines]
    with TrainingScreen() as screen:
        screen.show(passed)
    assert "30 distinct words, less than 50" in capsys.readouterr().err
    assert "30 distinct words, less than 50" in (run / PAGE_FILE).read_text(encoding="utf-8")


def test_without_limits_nothing_ends(tmp_path, data, mini, narrowing):
    events = list(train(scst_config(tmp_path, data, mini, num_epochs=3)))
    assert len(of_kind(EpochEvent, events)) == 3
    assert of_kind(LimitPassed, events) == []
    assert saved(events)[0] == 1


def test_limits_that_hold_change_nothing(tmp_path, data, mini):
    for name, settings in (("plain", {}), ("limited", {"min_distinct_words": 1})):
        settings |= {"output_dir": tmp_path / name, "num_epochs": 2}
        config = scst_config(tmp_path, data, mini, **settings)
        events = list(train(config))
        assert of_kind(LimitPassed, events) == []
    for checkpoint in ("last", "best-eval", "best-loss"):
        assert weights(tmp_path / "plain" / checkpoint) == weights(
            tmp_path / "limited" / checkpoint
        )


def test_a_model_that_is_too_narrow_at_once_leaves_that_before(tmp_path, data, mini):
    config = scst_config(tmp_path, data, mini, min_distinct_words=10_000, test=True)
    events = list(train(config))
    assert len(of_kind(EpochEvent, events)) == 1
    assert saved(events) == [0]
    run = tmp_path / "run"
    assert weights(run / "best-eval") == weights(mini)
    assert weights(run / "last") != weights(mini)
    assert not (run / "best-loss").exists()
    assert len(of_kind(TestEvent, events)) == 1  # of the model that it started from
    final = events[-1]
    assert (final.best_loss, final.best_eval, final.eval_metric) == (None, None, "")


@pytest.mark.parametrize("kind", [LimitPassed, TestEvent])
def test_a_run_killed_at_its_end_goes_on_exactly(tmp_path, data, mini, narrowing, kind):
    """Before the state of that epoch is saved, and after it."""
    limits = {"min_distinct_words": 50, "test": True}
    whole = scst_config(tmp_path, data, mini, output_dir=tmp_path / "whole", **limits)
    expected = list(train(whole))
    narrowing["epoch"] = 0
    running = train(scst_config(tmp_path, data, mini, **limits))
    for event in running:
        if isinstance(event, kind):
            break
    running.close()
    if kind is LimitPassed:
        narrowing["epoch"] = 2  # the epoch comes again
    after = list(resume(tmp_path / "run"))
    assert len(of_kind(EpochEvent, after)) == (kind is LimitPassed)
    assert after[-1].epochs == expected[-1].epochs == 3
    for checkpoint in ("last", "best-eval", "best-loss"):
        assert weights(tmp_path / "run" / checkpoint) == weights(tmp_path / "whole" / checkpoint)
    lines = (tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(json.loads(line)["event"] == "limit_passed" for line in lines) == 1


def test_a_stage_that_is_too_narrow_leaves_the_model_of_the_stage_before(tmp_path, data, mini):
    file = tmp_path / "stages.toml"
    file.write_text(
        "min_distinct_words = 10_000\n"
        '[[stage]]\nname = "learn"\nnum_epochs = 2\n'
        '[[stage]]\nname = "improve"\nobjective = "scst"\nnum_epochs = 3\n'
        '[[stage]]\nname = "again"\nnum_epochs = 1\n'
    )
    config = run_config(tmp_path, data, mini)
    flags = {"preset": "mini", "init": str(mini), "data_dir": data, "device": "cpu"}
    flags |= {"output_dir": config.output_dir, "batch_size": 4, "test": False}
    events = list(train_stages(resolve_plan(flags, file=file)))
    assert [event.epochs for event in of_kind(StageFinished, events)] == [2, 1, 1]
    run = config.output_dir
    stages = run / "stages"
    assert weights(stages / "2-improve" / "best-eval") == weights(stages / "1-learn" / "best-eval")
    # The model that the stage started from is not one of the last epoch before it.
    first, whole = (epochs(read_events(folder)) for folder in (stages / "1-learn", run))
    assert [saved for _, _, saved in whole][:2] == [saved for _, _, saved in first]
    marks = {panel.title: panel.marks for panel in panels(read_events(run))}
    own = {panel.title: panel.marks for panel in panels(read_events(stages / "1-learn"))}
    steps = [step for step, _ in own["CIDEr-D (val)"]]
    assert [step for step, _ in marks["CIDEr-D (val)"] if step <= max(steps)] == steps


def test_there_must_be_captions_to_measure(tmp_path, data, mini, capsys):
    with pytest.raises(UsageError, match=r"--max-repetition.*--no-eval"):
        list(train(scst_config(tmp_path, data, mini, max_repetition=0.1, eval=False)))
    assert not (tmp_path / "run").exists()
    common = ["train", "--preset", "mini", "--init", str(mini), "--data-dir", str(data)]
    assert main([*common, "--objective", "scst", "--max-repetition", "2"]) != 0
    assert "--max-repetition" in capsys.readouterr().err
