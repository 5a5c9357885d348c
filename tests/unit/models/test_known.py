"""The table of captioners worth using."""

from __future__ import annotations

import json
import re

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from capgen.models.known import KNOWN_MODELS, MULTILINGUAL, KnownModel, known_model
from capgen.paths import bundled_model_dir
from capgen.registry.listing import find_model

by_name = pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda model: model.name)


@by_name
def test_every_entry_is_whole(model: KnownModel) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", model.name)
    assert model.purpose.endswith(".") and len(model.purpose) <= 78  # a line of the list
    assert model.licence != "" and "" not in model.languages
    assert all(re.fullmatch(rf"[a-z]{{2}}|{MULTILINGUAL}", tag) for tag in model.languages)
    assert known_model(model.name) is model
    assert json.loads(json.dumps(model.to_dict()))["model_type"] == model.model_type
    if model.name != "mini":
        assert re.fullmatch(r"[\w-]+/[\w.-]+", model.identifier)
        assert known_model(model.identifier) is model


@by_name
def test_every_kind_is_one_that_transformers_loads_itself(model: KnownModel) -> None:
    assert model.model_type in CONFIG_MAPPING_NAMES


@by_name
def test_a_download_holds_the_parameters_in_a_usual_type(model: KnownModel) -> None:
    if model.download_bytes:
        assert model.parameters is not None
        assert 1.9 < model.download_bytes / model.parameters < 4.3


def test_names_and_repositories_differ() -> None:
    names = {model.name for model in KNOWN_MODELS}
    assert len(names) == len({model.identifier for model in KNOWN_MODELS}) == len(KNOWN_MODELS)
    assert 15 <= len(KNOWN_MODELS) <= 25


def test_what_is_said_of_the_bundled_model_is_so() -> None:
    mini, entry = known_model("mini"), find_model("mini")
    assert mini is not None and mini.parameters == entry.parameters
    config = json.loads((bundled_model_dir() / "config.json").read_text(encoding="utf-8"))
    assert mini.model_type == config["model_type"]
    card = (bundled_model_dir() / "README.md").read_text(encoding="utf-8")
    assert f"license: {mini.licence}\n" in card


@pytest.mark.parametrize("name", ["", "blip", "Blip-base", "nobody/blip-base"])
def test_other_names_are_not_known(name: str) -> None:
    assert known_model(name) is None
