"""Where settings come from, and which place wins."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import pytest

from capgen.cli.train.command import train_command
from capgen.config import EvalStrategy, TrainConfig, train_config, variables
from capgen.errors import UsageError
from capgen.training.plan.settings import to_toml
from capgen.training.plan.stages import resolve_plan
from capgen.training.validation.best_model import STRATEGIES


def _resolve(flags, **places):
    """Return the one stage of a run without stages."""
    (stage,) = resolve_plan(flags, **places).stages
    return stage


def test_flag_then_environment_then_bare_name_then_file_then_preset(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("batch_size = 5\nnum_epochs = 5\nseed = 5\nclip_norm = 5.0\n")
    resolved = _resolve(
        {"batch_size": 1},
        file=file,
        environment={
            "CAPGEN_TRAIN_BATCH_SIZE": "2",
            "CAPGEN_NUM_EPOCHS": "2",
            "NUM_EPOCHS": "3",
            "BATCH_SIZE": "3",
            "DEVICE": "cpu",
            "DATA_DIR": "photos",
        },
    )
    config, sources = resolved.config, resolved.sources
    assert (config.batch_size, sources["batch_size"]) == (1, "--batch-size")
    assert (config.num_epochs, sources["num_epochs"]) == (2, "CAPGEN_NUM_EPOCHS")
    assert (config.device, sources["device"]) == ("cpu", "DEVICE")
    assert (config.data_dir, sources["data_dir"]) == (Path("photos"), "DATA_DIR")
    assert (config.seed, sources["seed"]) == (5, str(file))
    assert (config.decoder, sources["decoder"]) == ("gpt2", "preset clip-gpt2")
    assert sources["flip"] == "default"
    assert config.dataset is None
    assert set(sources) == {field.name for field in dataclasses.fields(TrainConfig)}


def test_what_is_meant_for_captioning_does_not_change_what_is_learned():
    shared = {"CAPGEN_BATCH_SIZE": "8", "CAPGEN_SEED": "7", "CAPGEN_DEVICE": "cuda:1"}
    found = _resolve({}, environment=shared)
    assert (found.config.batch_size, found.sources["batch_size"]) == (32, "preset clip-gpt2")
    assert (found.config.seed, found.sources["seed"]) == (7, "CAPGEN_SEED")
    assert found.config.device == "cuda:1"
    own = {"CAPGEN_TRAIN_BATCH_SIZE": "4", "CAPGEN_TRAIN_SEED": "5", "BATCH_SIZE": "3", **shared}
    found = _resolve({}, environment=own)
    assert (found.config.batch_size, found.sources["batch_size"]) == (4, "CAPGEN_TRAIN_BATCH_SIZE")
    assert (found.config.seed, found.sources["seed"]) == (5, "CAPGEN_TRAIN_SEED")
    assert _resolve({}, environment={"BATCH_SIZE": "3"}).config.batch_size == 3


def test_a_variable_of_a_settings_own_name_is_that_setting():
    found = _resolve({}, environment={"CAPGEN_TRAIN_ENCODER": "none"})
    assert found.config.train_encoder == "none"
    assert found.sources["encoder"] == "preset clip-gpt2"


def test_the_preset_may_come_from_anywhere_and_gives_the_defaults(tmp_path):
    assert _resolve({}).config == train_config("clip-gpt2", dataset="flickr8k")
    assert _resolve({}).sources["dataset"] == "default"
    environment = {"CAPGEN_PRESET": "mini"}
    resolved = _resolve({}, environment=environment)
    assert resolved.config == train_config("mini", dataset="flickr8k")
    assert resolved.sources["preset"] == "CAPGEN_PRESET"
    assert _resolve({"preset": "clip-gpt2"}, environment=environment).config.decoder


@pytest.mark.parametrize("field", dataclasses.fields(TrainConfig), ids=lambda field: field.name)
def test_every_setting_has_a_flag_and_a_variable(field):
    assert field.name in inspect.signature(train_command).parameters
    text = {"int": "3", "float": "0.5", "bool": "true"}.get(field.type.split(" ")[0], "x")
    text = {
        "preset": "mini",
        "train_encoder": "last-2",
        "precision": "bf16",
        "device": "cuda:1",
    }.get(field.name, text)
    text = (field.metadata["choices"] or (text,))[-1]
    flags = {} if field.name == "preset" else {"preset": "clip-gpt2"}
    if field.name == "encoder_average":  # of a model that there is
        flags["init"] = "mini"
    if field.name in ("objective", "text_weight", "text_captions_per_image"):
        flags["text_data"] = [Path("captions.txt")]
    low = {"crop_aspect": "1.5", "max_tokens": "8", "image_size": "64", "decoder_width": "64"}
    for variable in variables(field.name, "train"):
        environment = {variable: low.get(field.name, text)}
        assert _resolve(flags, environment=environment).sources[field.name] == variable


def test_a_runs_own_settings_make_the_same_run(tmp_path):
    config = train_config("mini", data_dir=tmp_path, output_dir=tmp_path / "run", flip=False)
    file = tmp_path / "config.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert _resolve({}, file=file).config == config


@pytest.mark.parametrize(
    ("environment", "text", "named"),
    [
        ({"BATCH_SIZE": "many"}, "", "BATCH_SIZE in the environment"),
        ({"CAPGEN_FLIP": "perhaps"}, "", "CAPGEN_FLIP in the environment"),
        ({"DEVICE": "gpu"}, "", "--device is 'gpu'"),
        ({}, "batch_size = 'many'", "--batch-size"),
        ({}, "batch_sise = 3", "Unknown setting 'batch_sise'"),
    ],
)
def test_bad_values_are_named_with_their_place(tmp_path, environment, text, named):
    file = tmp_path / "run.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=named):
        _resolve({}, file=file, environment=environment)


def test_a_quoted_value_in_a_file_is_of_its_settings_type(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("flip = 'no'\nseed = '3'\nencoder = 'lite0'\n", encoding="utf-8")
    config = _resolve({}, file=file).config
    assert (config.flip, config.seed, config.encoder) == (False, 3, "lite0")
    file.write_text("flip = 'perhaps'\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"run\.toml: --flip"):
        _resolve({}, file=file)


def test_empty_variables_are_not_set():
    assert _resolve({}, environment={"DEVICE": "", "CAPGEN_SEED": ""}).config.seed == 0


def test_every_strategy_has_its_rule():
    assert list(STRATEGIES) == list(EvalStrategy)


@pytest.mark.parametrize("text", ["last", "last-0", "last--1", "some", "last-2.5"])
def test_a_bad_part_of_the_encoder_is_refused(text):
    with pytest.raises(UsageError, match="--train-encoder"):
        train_config(train_encoder=text)


def test_no_shell_has_seen_the_paths_of_files_and_variables(tmp_path):
    file = tmp_path / "run.toml"
    file.write_bytes(b'\xef\xbb\xbfdata_dir = ["~/a", "b"]\r\n')
    config = _resolve({}, file=file, environment={"CAPGEN_OUTPUT_DIR": "~/run"}).config
    assert config.data_dir == (Path.home() / "a", Path("b"))
    assert config.output_dir == Path.home() / "run"
