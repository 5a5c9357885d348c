"""`--objective text`: the decoder learns language from captions without images, before anything."""

from __future__ import annotations

import pytest
import torch

from capgen.cli.main import main
from capgen.config import train_config
from capgen.errors import DataError, UsageError
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.records import (
    EpochEvent,
    Notice,
    PreparationEvent,
    RunStarted,
    StageStarted,
    StepEvent,
    TestEvent,
)
from capgen.training.plan.estimate import estimate
from capgen.training.plan.stages import resolve_plan
from capgen.training.run.train import train
from capgen.training.run.train_stages import train_stages
from tests.integration.training.test_resume import NOISE
from tests.integration.training.test_text_data import TEXT
from tests.training_runs import NO_NOISE, SENTENCES, of_kind, run_config, whole_and_resumed

STAGES = """
[[stage]]
name = "text"
objective = "text"

[[stage]]
name = "images"
"""


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.fixture
def settings(text):
    return {"objective": "text", "text_data": text, "min_count": 1, "batch_size": 2}


def weights_of(folder):
    return load_captioning(ModelFolder(folder, "model")).model.state_dict()


def test_the_decoder_learns_the_captions_and_the_encoder_stays(tmp_path, data, mini, settings):
    settings |= {"num_epochs": 40, "warmup_steps": 0, "learning_rate": 1e-2, "ema_decay": 0.0}
    events = list(train(run_config(tmp_path, data, mini, **settings)))
    losses = [epoch.train_loss for epoch in of_kind(EpochEvent, events)]
    assert losses[-1] < 0.2 * losses[0]
    before, after = weights_of(mini), weights_of(tmp_path / "run" / "best-eval")
    encoder = [name for name in before if name.startswith("encoder.")]
    assert encoder and all(torch.equal(before[name], after[name]) for name in encoder)
    decoder = [name for name in before if "decoder.transformer.h.0.mlp" in name]
    assert decoder and not any(torch.equal(before[name], after[name]) for name in decoder)


@pytest.mark.parametrize("train_encoder", ["all", "none"])
def test_no_image_is_looked_at(tmp_path, data, mini, settings, train_encoder):
    for image in (data / "Flicker8k_Dataset").iterdir():
        image.write_bytes(b"not an image")
    config = run_config(tmp_path, data, mini, train_encoder=train_encoder, **settings)
    events = list(train(config))
    assert not of_kind(PreparationEvent, events) and not of_kind(TestEvent, events)
    (started,) = of_kind(RunStarted, events)
    assert (started.captions, started.steps) == (3, 2 * 2)
    assert set(started.images.values()) == {0}
    assert all(epoch.val_loss is None for epoch in of_kind(EpochEvent, events))
    said = [notice.message for notice in of_kind(Notice, events)]
    assert (
        "Learning from text alone: no validation; best-eval is the model of the last epoch" in said
    )


def test_a_resumed_run_ends_the_same(tmp_path, data, mini, settings):
    config = run_config(tmp_path, data, mini, **{**NOISE, **settings, "save_every": 1})
    runs = whole_and_resumed(config, 2)
    for name in ("last", "best-eval"):
        one, other = (weights_of(run / name) for run in runs)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_how_a_step_is_cut_changes_nothing_but_rounding(tmp_path, data, mini, settings):
    losses = []
    for name, size in (("whole", {"batch_size": 2}), ("cut", {"batch_size": 1, "accumulation": 2})):
        config = run_config(
            tmp_path, data, mini, output_dir=tmp_path / name, **{**settings, **size}
        )
        losses.append([step.loss for step in of_kind(StepEvent, list(train(config)))])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_captions_that_measured_images_have_are_nothing_to_learn(tmp_path, data, mini, text):
    text.write_text(SENTENCES[0].upper() + "\n", encoding="utf-8")  # of the image of val
    config = run_config(tmp_path, data, mini, objective="text", text_data=text)
    with pytest.raises(DataError, match="nothing to learn"):
        list(train(config))
    assert not config.output_dir.exists()


def test_it_needs_text_data(tmp_path):
    with pytest.raises(UsageError, match=r"--objective text .* set --text-data"):
        train_config("mini", objective="text")
    with pytest.raises(UsageError, match="--teacher is for --objective cross-entropy"):
        train_config("mini", objective="text", text_data=tmp_path / "a.txt", teacher="mini")


def test_a_stage_of_text_comes_before_the_others(tmp_path, data, mini, text):
    file = tmp_path / "stages.toml"
    file.write_text(STAGES, encoding="utf-8")
    flags = {
        **NO_NOISE, "preset": "mini", "init": str(mini), "data_dir": data, "num_epochs": 1,
        "output_dir": tmp_path / "run", "eval": False, "text_data": text, "min_count": 1,
        "patience": 1,
    }  # fmt: skip
    events = list(train_stages(resolve_plan(flags, file=file)))
    starts = of_kind(StageStarted, events)
    assert [start.stage for start in starts] == ["text", "images"]
    assert starts[1].init == "stages/1-text/best-eval"
    assert events[-1].event == "run_finished"
    first = weights_of(tmp_path / "run" / "stages" / "1-text" / "best-eval")
    (started,) = [e for e in of_kind(RunStarted, events) if e.images["train"]]
    assert started.images["train"] == 8
    assert first.keys() == weights_of(tmp_path / "run" / "best-eval").keys()


def test_an_estimate_is_of_the_captions(tmp_path, data, mini, settings):
    needs = estimate(run_config(tmp_path, data, mini, num_epochs=5, **settings))
    assert (needs.images, needs.steps) == (3, 10)
    assert needs.seconds > 0


def test_a_dry_run_of_stages_counts_captions_and_images(tmp_path, data, mini, text, capsys):
    file = tmp_path / "stages.toml"
    file.write_text(STAGES, encoding="utf-8")
    command = ["train", "--preset", "mini", "--init", str(mini), "--data-dir", str(data)]
    command += ["--config", str(file), "--text-data", str(text), "--num-epochs", "2", "--dry-run"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "for 2 steps over 3 captions" in out
    assert "for 2 steps over 8 images" in out


@pytest.mark.parametrize("recipe", ["mini", "mini-plus"])
def test_recipes_begin_with_text_where_there_is_some(recipe, text):
    plan = resolve_plan({"text_data": [text]}, file=recipe)
    assert [stage.name for stage in plan.stages] == ["text", "cross-entropy", "scst"]
    first = plan.first
    assert (first.objective, first.batch_size, first.learning_rate) == ("text", 512, 1e-3)
    assert plan.stages[1].config.init == "stages/1-text/best-eval"
    without = resolve_plan({}, file=recipe)
    assert [stage.name for stage in without.stages] == ["cross-entropy", "scst"]
    assert (without.stages[0].number, without.stages[0].config.init) == (1, None)
    assert without.left_out == ("text",)


def test_a_users_own_stage_of_text_needs_text_data(tmp_path):
    file = tmp_path / "stages.toml"
    file.write_text(STAGES, encoding="utf-8")
    with pytest.raises(UsageError, match="--text-data"):
        resolve_plan({}, file=file)


def test_a_recipe_without_text_data_says_what_it_leaves_out(tmp_path, capsys):
    command = ["train", "--config", "mini", "--data-dir", str(tmp_path / "none"), "--dry-run"]
    assert main(command) == 1
    assert "note: without --text-data there is no stage text\n" in capsys.readouterr().err
