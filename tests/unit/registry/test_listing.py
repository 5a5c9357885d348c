"""The list of models: what is there, what is broken, and at what cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capgen.errors import ModelNotFoundError
from capgen.models.foreign import CAPTIONERS
from capgen.models.kinds import CAPTIONER_KINDS
from capgen.models.resolve import resolve_model
from capgen.paths import bundled_model_dir, models_dir, runs_dir
from capgen.registry.entries import ModelEntry
from capgen.registry.listing import find_model, lasting_name, list_models, run_checkpoints
from tests.unit.registry.folders import CONFIG, write_model, write_run


def by_name() -> dict[str, ModelEntry]:
    return {entry.name: entry for entry in list_models()}


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_bundled_model_is_listed_and_the_default(hub_cache: Path) -> None:
    entry, in_8_bits = list_models()
    assert (in_8_bits.name, in_8_bits.kind, in_8_bits.precision) == ("mini:int8", "bundled", "I8")
    assert not in_8_bits.default and not in_8_bits.problem
    assert in_8_bits.size < 16e6 < entry.size
    assert (entry.name, entry.kind, entry.path) == ("mini", "bundled", bundled_model_dir())
    assert entry.default and entry.onnx and not entry.problem
    assert (entry.encoder, entry.decoder) == ("EfficientNet-lite2", "GPT-2 3×256")
    record = json.loads((bundled_model_dir() / "capgen.json").read_text(encoding="utf-8"))
    assert (entry.data, entry.split, entry.precision) == (record["data"]["name"], "test", "F16")
    assert 11.8e6 < entry.parameters < 11.9e6
    assert entry.measured_on == "flickr8k"
    figures = record["metrics"]["test"]
    assert entry.metrics["CIDEr-D"] == figures["CIDEr-D"]
    assert json.loads(json.dumps(entry.to_dict()))["metrics"]["METEOR"] == figures["METEOR"]


def test_runs_and_kept_models_are_listed_by_the_names_that_resolve(hub_cache: Path) -> None:
    write_run(runs_dir(), "first", "best-eval", "last")
    write_model(models_dir() / "mine")
    write_model(models_dir() / "somebody" / "theirs")
    found = by_name()
    assert set(found) == {
        "mini",
        "mini:int8",
        "first/best-eval",
        "first/last",
        "mine",
        "somebody/theirs",
    }
    for name, entry in found.items():
        assert not entry.problem
        assert resolve_model(name).path == entry.path
        assert find_model(name) == entry
    entry = found["first/last"]
    assert (entry.kind, entry.parameters, entry.precision) == ("run", 17, "F16")
    assert (entry.measured_on, entry.split) == ("flickr8k", "val")
    assert entry.metrics == {"CIDEr-D": 0.5}
    assert (entry.encoder, entry.decoder) == ("CLIP ViT 12×768", "GPT-2 2×64")
    assert entry.size == sum(file.stat().st_size for file in entry.path.iterdir())


def test_captioners_in_the_hubs_cache_are_listed(hub_cache: Path) -> None:
    new, old = "a" * 40, "b" * 40
    repository = hub_cache / "models--user--captioner"
    for commit in (new, old):
        write_model(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(new)
    write_model(hub_cache / "models--user--clip" / "snapshots" / new, config={"model_type": "clip"})
    found = by_name()
    assert set(found) == {"mini", "mini:int8", "user/captioner", f"user/captioner@{old}"}
    assert (found["user/captioner"].kind, found["user/captioner"].revision) == ("hub", new)


BROKEN = {
    "empty folder": ({}, "it has no config.json"),
    "half-written JSON": ({"config.json": b"{"}, "config.json"),
    "JSON that is not an object": ({"config.json": b"[1]"}, "not a JSON object"),
    "another model": ({"config.json": b'{"model_type": "clip"}'}, "'clip' model"),
    "no weights": ({"model.safetensors": None}, "no weights"),
    "pickled weights": ({"model.safetensors": None, "pytorch_model.bin": b"x"}, "pickle"),
    "weights cut off": ({"model.safetensors": b"\x08\0\0\0\0\0\0\0{"}, "is cut off"),
    "damaged provenance": ({"capgen.json": b"\xff"}, "capgen.json"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_listed_with_the_reason(case: str, hub_cache: Path) -> None:
    changes, reason = BROKEN[case]
    if changes:
        folder = write_model(models_dir() / "bad")
        for name, content in changes.items():
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).write_bytes(content)
    else:
        (models_dir() / "bad").mkdir(parents=True)
    assert reason in by_name()["bad"].problem
    assert not by_name()["mini"].problem


@pytest.mark.parametrize(
    "provenance",
    [
        {"data": 3, "metrics": [], "created": None, "export": "int8"},
        {"metrics": {"test": {"CIDEr-D": "high", "x": True}, "val": 7}, "data": {"name": {}}},
    ],
)
def test_provenance_of_another_shape_does_no_harm(provenance: dict, hub_cache: Path) -> None:
    config = {**CONFIG, "encoder": 3, "decoder": {"model_type": 5, "n_layer": "x"}}
    write_model(models_dir() / "odd", config=config, provenance=provenance)
    entry = by_name()["odd"]
    assert (entry.metrics, entry.data, entry.encoder, entry.decoder) == ({}, "", "", "")


def test_hidden_folders_are_not_models(hub_cache: Path) -> None:
    write_model(models_dir() / ".mine.new")
    write_run(runs_dir(), "run", "best-eval", ".best-eval.new")
    assert set(by_name()) == {"mini", "mini:int8", "run/best-eval"}


def test_a_run_without_a_model_says_so(hub_cache: Path) -> None:
    write_run(runs_dir(), "young")
    assert "no config.json" in by_name()["young"].problem
    with pytest.raises(ModelNotFoundError, match="young is a training run") as caught:
        resolve_model("young")
    assert caught.value.hint == "It has saved no model yet."


def test_a_run_alone_is_no_model_but_its_two_best_are(hub_cache: Path) -> None:
    write_run(runs_dir(), "run", "last", "best-loss", "best-eval")
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_model("run")
    assert "run/best-eval" in caught.value.hint
    assert run_checkpoints("run")[0] == "run/best-eval"
    assert run_checkpoints("") == run_checkpoints("other") == []


def test_a_name_that_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(runs_dir(), "run", "last")
    write_model(tmp_path / "here" / "model")
    monkeypatch.chdir(tmp_path / "here")
    assert lasting_name("mini") == "mini"
    assert lasting_name("run/last") == "run/last"
    assert lasting_name("./model") == str(tmp_path / "here" / "model")


def test_the_kinds_of_captioners_are_those_that_torch_runs() -> None:
    assert set(CAPTIONER_KINDS) == set(CAPTIONERS)


def test_listing_is_quick_to_start(home: Path) -> None:
    code = (
        "import sys; from capgen.cli.main import main; main(['models', 'list']);"
        "heavy = {'torch', 'transformers', 'onnxruntime'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert "mini" in done.stdout
