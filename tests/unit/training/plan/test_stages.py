"""Stages of a run: what each one's settings are, and where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.config import TrainConfig, flag_name, train_config
from capgen.errors import UsageError
from capgen.training.plan.recipes import find_settings, recipes
from capgen.training.plan.stages import read_plan, resolve_plan

TWO = """
preset = "mini"
init = "mini"
data_dir = "images"
batch_size = 8
num_epochs = 7

[[stage]]
name = "first"
num_epochs = 2
seed = 1

[[stage]]
name = "second"
start_from = "last"
learning_rate = 1e-5
eval_limit = 9
"""


@pytest.fixture
def two(tmp_path):
    file = tmp_path / "two.toml"
    file.write_text(TWO, encoding="utf-8")
    return file


def test_flag_then_environment_then_stage_then_file_then_preset(two):
    plan = resolve_plan(
        {"eval_limit": 3}, file=two, environment={"CAPGEN_SEED": "5", "CAPGEN_LOG_EVERY": "2"}
    )
    first, second = plan.stages
    assert plan.staged
    assert [first.config.num_epochs, second.config.num_epochs] == [2, 7]
    assert [first.config.seed, second.config.seed] == [5, 5]
    assert [first.config.eval_limit, second.config.eval_limit] == [3, 3]
    assert [first.config.learning_rate, second.config.learning_rate] == [5e-4, 1e-5]
    assert first.sources["num_epochs"] == f"{two}: [[stage]] 1 (first)"
    assert second.sources["num_epochs"] == str(two)
    assert second.sources["eval_limit"] == "--eval-limit"
    assert second.sources["encoder"] == "default"  # that of `init`, not the preset's
    second = resolve_plan({"preset": "clip-gpt2"}, file=two).stages[1]
    assert second.sources["dropout"] == "preset clip-gpt2"


def test_a_stage_starts_from_a_checkpoint_of_the_one_before(two):
    first, second = resolve_plan({"init": "other"}, file=two).stages
    run = Path("/runs/r")
    assert first.config_in(run).init == "other"
    assert second.config_in(run).init == "/runs/r/stages/1-first/last"
    assert second.config_in(run).output_dir == run / "stages" / "2-second"


def test_a_file_without_stages_is_one_run(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('preset = "mini"\nnum_epochs = 3\n', encoding="utf-8")
    plan = resolve_plan({}, file=file)
    assert not plan.staged
    assert plan.first == train_config("mini", num_epochs=3, dataset="flickr8k")


def test_a_plan_is_read_back_the_same(two, tmp_path):
    plan = resolve_plan({"name": "r", "patience": 4}, file=two)
    file = tmp_path / "config.toml"
    file.write_text(plan.to_toml(), encoding="utf-8")
    read = read_plan(file)
    assert [stage.config.data_dir for stage in read.stages] == [Path("images").absolute()] * 2
    assert read.to_toml() == plan.to_toml()
    assert [(s.name, s.start_from) for s in read.stages] == [
        ("first", "best-eval"),
        ("second", "last"),
    ]
    shared, *tables = plan.to_toml().split("[[stage]]")
    assert 'init = "mini"' in shared
    assert all("init" not in table and "batch_size" not in table for table in tables)
    assert "patience = 4" in shared


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[[stage]]\nname = "a"\n[[stage]]\nname = "b"\ndataset = "coco"', "sets dataset"),
        ('[[stage]]\nname = "a"\npreset = "mini"', "sets preset"),
        ('[[stage]]\nname = "a"\ninit = "mini"', "sets init"),
        ("[[stage]]\nnum_epochs = 3", "needs a name"),
        ('[[stage]]\nname = "../a"', "needs a name"),
        ('[[stage]]\nname = "a"\nstart_from = "last"', "first stage cannot have start_from"),
        ('[[stage]]\nname = "a"\n[[stage]]\nname = "b"\nstart_from = "best"', "must be one of"),
        ('[[stage]]\nname = "a"\nnum_epoks = 3', r"1 \(a\): Unknown setting 'num_epoks'"),
        ('[stage]\nname = "a"', r"each stage must be a table"),
        ("stage = []", "has no stages"),
    ],
)
def test_what_a_stage_cannot_be(tmp_path, text, named):
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=named):
        resolve_plan({}, file=file)


@pytest.mark.parametrize("name", recipes())
def test_recipes_are_sound(name):
    plan = resolve_plan({"data_dir": Path("photos")}, file=name)
    assert plan.staged
    assert plan.first.data_dir == Path("photos")
    assert plan.first.dataset is None
    assert all(stage.sources["batch_size"].startswith(f"recipe {name}") for stage in plan.stages)


def test_unknown_recipes_and_files(tmp_path):
    assert {"mini", "mini-cpu", "mini-more"} <= set(recipes())
    with pytest.raises(UsageError, match="'minni'") as caught:
        find_settings("minni")
    assert "'mini'" in caught.value.hint
    with pytest.raises(UsageError, match="Cannot read the settings"):
        resolve_plan({}, file=tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["text_weight", "text_captions_per_image"])
def test_settings_of_text_data_need_text_data(name, tmp_path):
    flag = flag_name(name)
    with pytest.raises(UsageError, match=f"^{flag} is for captions without images"):
        resolve_plan({name: 2})
    variable = f"CAPGEN_TRAIN_{name.upper()}"
    with pytest.raises(UsageError, match=f"^{variable} is for captions without images"):
        resolve_plan({}, environment={variable: "2"})
    resolve_plan({name: getattr(TrainConfig, name)})  # asks for nothing
    plan = resolve_plan({name: 1, "text_data": [tmp_path / "texts.txt"]})
    assert getattr(plan.first, name) == 1
    resolve_plan({}, file="mini")  # a recipe has them for whoever has text data
