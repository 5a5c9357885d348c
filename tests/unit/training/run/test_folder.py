"""A run's folder, and the settings in it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from capgen.config import train_config
from capgen.errors import UsageError
from capgen.models.run_events import read_events
from capgen.records import StepEvent, event_from_dict
from capgen.training.processes.base import Alone
from capgen.training.run.folder import RunFolder, only_trainer, read_config, to_toml

STEP = StepEvent(step=3, epoch=1, loss=2.5, learning_rate=1e-4, images_per_second=10.0)


def test_settings_are_read_back_the_same(tmp_path):
    config = train_config(
        "mini",
        data_dir=tmp_path / 'a "quoted" päth',
        output_dir=tmp_path / "run",
        name="3",
        flip=False,
        learning_rate=3e-5,
        eval_limit=7,
    )
    file = tmp_path / "config.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert read_config(file) == config


def test_relative_places_are_written_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = to_toml(train_config("mini", data_dir=Path("photos")))
    assert str(tmp_path / "photos") in text


@pytest.mark.parametrize("text", ["num_epochs = [", "num_epoks = 3", 'num_epochs = "x"'])
def test_a_bad_settings_file_is_a_usage_error(tmp_path, text):
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        read_config(file)


def test_events_are_appended_and_read_back(tmp_path):
    run = RunFolder.create(train_config("mini", output_dir=tmp_path / "run"))
    run.record(STEP)
    run.record(STEP)
    lines = (run.path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 2
    assert records[0]["schema_version"] == 1
    assert "time" in records[0]
    assert event_from_dict(records[0]) == STEP


def test_the_events_of_an_earlier_process_are_forgotten(tmp_path):
    run = RunFolder.create(train_config("mini", output_dir=tmp_path / "run"))
    run.forget_first(0)
    run.record(STEP)
    earlier = run.events_size
    run.record(dataclasses.replace(STEP, step=4))
    run.forget_first(earlier)
    assert [event.step for event in read_events(run.path)] == [4]


def test_a_second_run_does_not_overwrite_the_first(tmp_path):
    config = train_config("mini", output_dir=tmp_path / "run")
    RunFolder.create(config).record(STEP)
    with pytest.raises(UsageError, match="already holds"):
        RunFolder.create(config)


def test_one_process_trains_a_run_at_a_time(tmp_path):
    config = train_config("mini", output_dir=tmp_path / "run")
    with only_trainer(Alone(), tmp_path / "run"):
        with pytest.raises(UsageError, match="already holds"):
            RunFolder.create(config)
        with (
            pytest.raises(UsageError, match="Another process is training"),
            only_trainer(Alone(), tmp_path / "run"),
        ):
            pass
    assert not list((tmp_path / "run").iterdir())
    RunFolder.create(config)


def test_runs_have_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPGEN_HOME", str(tmp_path))
    assert RunFolder.create(train_config("mini", name="first")).path == tmp_path / "runs" / "first"
    unnamed = [RunFolder.create(train_config("mini")).path.name for _ in range(3)]
    assert len(set(unnamed)) == 3  # though they begin in the same second
    assert all(name.startswith("mini-") for name in unnamed)
