"""Training on several data sets together."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from capgen.cli.main import main
from capgen.config import TrainConfig, parse_setting
from capgen.errors import TrainingStopped
from capgen.models.folder import ModelFolder
from capgen.models.recorded_scores import recorded_evaluations
from capgen.records import (
    EpochEvent,
    PreparationEvent,
    RunCreated,
    RunStarted,
    SampleEvent,
    StepEvent,
    TestEvent,
    event_from_dict,
)
from capgen.training.data.epoch_order import Mix
from capgen.training.optimization.trainer import Trainer
from capgen.training.plan.settings import to_toml
from capgen.training.plan.stages import resolve_plan
from capgen.training.run.folder import read_config
from capgen.training.run.stop_request import StopRequest
from capgen.training.run.train import resume, train
from tests.integration.training.test_resume import NOISE, assert_same
from tests.minis import MiniImage, write_flickr8k
from tests.training_runs import of_kind, run_config

# Its graph ships, and frozen features are computed with it.
BACKBONE = "lite0"


def _resolve(flags, **places):
    """Return the one stage of a run without stages."""
    (stage,) = resolve_plan(flags, **places).stages
    return stage


@pytest.fixture
def other(tmp_path):
    """A second data set, of zebras, without a test split."""
    images = [
        MiniImage(
            name=f"z{index}.jpg",
            captions=("a zebra in the grass", "one zebra runs"),
            split="train" if index < 4 else "val",
            seed=100 + index,
        )
        for index in range(6)
    ]
    return write_flickr8k(tmp_path / "zebras", images)


@pytest.fixture
def config(tmp_path, data, other, mini):
    places = (data, f"{other}=1.5")
    return run_config(
        tmp_path, data, mini, data_dir=places, min_count=2, train_encoder="none",
        test_samples_per_epoch=3, num_epochs=2,
    )  # fmt: skip


def test_each_set_is_measured_and_the_mean_decides(config):
    events = list(train(config))
    (started,) = of_kind(RunStarted, events)
    assert started.images == {"train": 12, "val": 3, "test": 1}
    assert started.steps == 2 * 4  # 8 images and 4 · 1.5 in steps of 4
    zebras = {"weight": 1.5, "drawn": 6, "share": 6 / 14, "train": 4, "val": 2}
    assert started.sets["zebras"] == pytest.approx(zebras)
    for event in of_kind(EpochEvent, events):
        one, two = event.sets["data"], event.sets["zebras"]
        assert (one["images"], two["images"]) == (1, 2)
        assert event.val_loss == pytest.approx((8 * one["loss"] + 6 * two["loss"]) / 14)
        for name, value in event.metrics.items():
            assert value == pytest.approx((8 * one[name] + 6 * two[name]) / 14)
    samples = of_kind(SampleEvent, events)
    assert {sample.image.split("/")[0] for sample in samples} == {"data", "zebras"}
    (test,) = of_kind(TestEvent, events)
    assert list(test.sets) == ["data"]
    assert test.loss == test.sets["data"]["loss"]
    assert any("New words in the vocabulary (2): zebra, one" in str(event) for event in events)
    lines = (config.output_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
    # The first event only tells the caller where the run is kept.
    assert events[0] == RunCreated(run=str(config.output_dir))
    assert [event_from_dict(json.loads(line)) for line in lines] == events[1:]


def test_one_weighted_set_says_how_much_is_drawn_and_a_short_run_reports_each_step(
    tmp_path, data, mini
):
    config = run_config(
        tmp_path, data, mini, data_dir=(f"{data}=0.5",), min_count=2, train_encoder="none",
        num_epochs=2, log_every=10, eval=False, test=False,
    )  # fmt: skip
    events = list(train(config))
    (started,) = of_kind(RunStarted, events)
    assert started.init == str(mini)
    assert (started.sets["data"]["drawn"], started.sets["data"]["train"]) == (4, 8)
    assert [event.step for event in of_kind(StepEvent, events)] == [1, 2]
    assert all(not event.sets for event in of_kind(EpochEvent, events))


def test_the_run_folder_names_all_sets(config):
    for _ in train(dataclasses.replace(config, num_epochs=1, eval_every=1)):
        pass
    run = config.output_dir
    assert read_config(run / "config.toml") == dataclasses.replace(config, num_epochs=1)
    provenance = ModelFolder(run / "best-eval", "best-eval").provenance
    assert provenance.data["name"] == "data + zebras"
    assert provenance.data["counts"] == {"train": 12, "val": 3, "test": 1}
    parts = provenance.data["sets"]
    assert [(part["name"], part["weight"]) for part in parts] == [("data", 1.0), ("zebras", 1.5)]
    assert all(part["digest"].startswith("sha256:") for part in parts)
    assert set(provenance.metrics["val"]["sets"]) == {"data", "zebras"}
    assert [
        (item.dataset, item.split, item.images) for item in recorded_evaluations(provenance)
    ] == [
        ("data + zebras", "val", 3),
        ("data", "val", 1),
        ("zebras", "val", 2),
        ("data", "test", 1),
    ]
    assert provenance.metrics["val"]["sets"]["zebras"]["protocol"]["images"] == 2
    assert provenance.training["words_added"] == 2
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert environment["data"] == provenance.data


def test_a_stopped_run_goes_on_exactly(tmp_path, config, monkeypatch):
    noisy = {name: value for name, value in NOISE.items() if name != "batch_size"}
    for encoder in ("none", "last-1"):
        settings = {**noisy, "train_encoder": encoder, "test": False, "batch_size": 5}
        whole = dataclasses.replace(config, output_dir=tmp_path / f"{encoder}a", **settings)
        for _ in train(whole):
            pass
        stop, plain, taken = StopRequest(), Trainer._step, []

        def step(self, numbers, stop=stop, plain=plain, taken=taken):
            plain(self, numbers)
            taken.append(None)
            if len(taken) == 2:
                stop.signal = 15

        monkeypatch.setattr(Trainer, "_step", step)
        stopped = dataclasses.replace(whole, output_dir=tmp_path / f"{encoder}b")
        with pytest.raises(TrainingStopped, match="Stopped at step 3 of 6"):
            list(train(stopped, stop=stop))
        monkeypatch.setattr(Trainer, "_step", plain)
        for _ in resume(stopped.output_dir):
            pass
        assert_same(whole.output_dir, stopped.output_dir)


def test_lists_of_data_sets_come_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "run.toml"
    file.write_text('dataset = ["a", "b=2"]\n', encoding="utf-8")
    assert _resolve({}, file=file).config.dataset == ("a", "b=2")
    environment = {"CAPGEN_DATASET": '["c", "d=0.5"]'}
    resolved = _resolve({}, file=file, environment=environment)
    assert resolved.config.dataset == ("c", "d=0.5")
    resolved = _resolve({"dataset": ["e"]}, file=file, environment=environment)
    assert resolved.config.dataset == "e"
    file.write_text('data_dir = ["x=y", "/z=2"]\n', encoding="utf-8")
    config = _resolve({}, file=file).config
    assert [str(place) for place in config.data_dir] == ["x=y", "/z=2"]
    assert f'data_dir = ["{tmp_path}/x=y", "/z=2"]' in to_toml(config)
    assert str(parse_setting(TrainConfig, "data_dir", "[images] of 2020")) == "[images] of 2020"


def test_the_command_line(config, data, other, mini, capsys):
    arguments = ["train", "--preset", "mini", "--init", str(mini), "--data-dir", str(data)]
    arguments += ["--data-dir", f"{other}=0.5", "--num-epochs", "1", "--device", "cpu"]
    arguments += ["--output-dir", str(config.output_dir), "--train-encoder", "none"]
    arguments += ["--min-count", "2", "--batch-size", "5"]
    assert main([*arguments, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["settings"]["data_dir"]["value"] == [str(data), f"{other}=0.5"]
    assert plan["estimate"]["images"] == 10
    assert main([*arguments, "--dry-run"]) == 0
    assert f"{data}, {other}=0.5" in capsys.readouterr().out
    assert main(arguments) == 0
    shown = capsys.readouterr().err
    assert "zebras: 4 images, 2 per epoch (weight 0.5); 20% of the mean on val" in shown
    assert "New words in the vocabulary (2): zebra, one" in shown


@pytest.mark.parametrize("train_encoder", ["all", "none"])
def test_only_the_images_that_a_small_weight_draws_are_prepared(
    train_encoder, tmp_path, data, other, mini, monkeypatch
):
    def run(name):
        config = run_config(
            tmp_path,
            (f"{data}=0.25", other),
            mini,
            num_epochs=1,
            train_encoder=train_encoder,
            output_dir=tmp_path / name,
        )
        events = list(train(config))
        prepared = of_kind(PreparationEvent, events)
        totals = [event.total for event in prepared if event.split.startswith("train")]
        return max(totals[:1]), [event.loss for event in of_kind(StepEvent, events)]

    few, losses = run("few")
    assert few == 2  # of eight
    # The training is that with all images at hand.
    monkeypatch.setattr(Mix, "used", lambda mix, seed, epochs: torch.ones(12, dtype=torch.bool))
    every, expected = run("all")
    assert every == 8
    assert losses == expected
