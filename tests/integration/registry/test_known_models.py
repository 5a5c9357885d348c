"""The known captioners on the command line: listed, described and judged without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from capgen.cli.main import main
from capgen.models import resolve
from capgen.models.known import KNOWN_MODELS
from capgen.paths import bundled_model_dir, models_dir
from capgen.registry import machine
from tests.unit.registry.folders import write_model

Captured = pytest.CaptureFixture[str]
GIT = "microsoft/git-base-coco"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(identifier: str, revision: str | None = None, **_: object) -> None:
        pytest.fail(f"the Hub was asked for {identifier}")

    monkeypatch.setattr(resolve, "fetch", asked)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_accelerators", lambda memory: ())


def download(cache: Path, identifier: str, **changes: object) -> Path:
    """Put a model into the Hub's cache, and record it as pulled."""
    repository = cache / f"models--{identifier.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return write_model(repository / "snapshots" / COMMIT, **changes)


def test_the_list_is_readable_at_80_columns(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["models", "list", "--known"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) == 1 + 3 * len(KNOWN_MODELS)  # nothing is wrapped
    assert lines[0].split() == ["Model", "Parameters", "Download", "Licence", "Languages"]
    for number, model in enumerate(KNOWN_MODELS):
        figures, home, purpose = lines[1 + 3 * number : 4 + 3 * number]
        assert figures.startswith(f"{model.name} ")
        assert model.identifier in home and model.model_type in home
        assert ("gated" in home) == model.gated
        assert purpose.strip() == model.purpose
    joy = next(line for line in lines if line.startswith("joycaption"))
    assert joy.split() == ["joycaption", "8.0", "B", "–", "–", "–"]
    assert "not measured" in shown.err


def test_the_list_as_json(capsys: Captured, cache: Path) -> None:
    download(cache, GIT)
    assert main(["models", "list", "--known", "--json"]) == 0
    shown = capsys.readouterr()
    entries = {entry["name"]: entry for entry in json.loads(shown.out)}
    assert len(entries) == len(KNOWN_MODELS) and not shown.err
    assert entries["joycaption"]["licence"] is None and entries["joycaption"]["languages"] == []
    assert entries["gemma-3-4b"]["gated"] is True
    assert {name for name, entry in entries.items() if entry["downloaded"]} == {"mini", "git-base"}


@pytest.mark.parametrize("name", ["blip-base", "Salesforce/blip-image-captioning-base"])
def test_a_known_model_is_shown_without_a_download(
    name: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 64 * 10**9)
    assert main(["models", "show", name]) == 0
    shown = capsys.readouterr()
    rows = {line[:16].strip(): line[16:].strip() for line in shown.out.splitlines()}
    assert rows["Hub id"] == "Salesforce/blip-image-captioning-base"
    assert rows["licence"] == "bsd-3-clause" and rows["runs here"] == "yes: CPU in fp32"
    assert rows["disk needed"].startswith("about 991 MB")
    assert main(["models", "show", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["kind"], found["downloaded"]) == ("blip-base", "known", False)
    assert found["runs_here"]["possible"] is True
    assert not cache.exists()


def test_a_machine_that_is_too_small(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 10**9)
    monkeypatch.setattr(machine, "_free", lambda place: 10**12)
    assert main(["models", "show", "joycaption"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "runs here no: it needs 19.2 GB of memory" in shown and "options" not in shown
    assert "--quantize int4 needs about a quarter of that" in shown
    main(["models", "show", "blip-large"])
    assert "--quantize" not in capsys.readouterr().out  # it follows no prompts
    monkeypatch.setattr(machine, "available_memory", lambda: 20 * 10**9)
    main(["models", "show", "joycaption"])
    assert "options --dtype bf16" in " ".join(capsys.readouterr().out.split())


def test_models_on_this_machine_are_judged_too(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 10**9)
    shutil.copytree(bundled_model_dir(), models_dir() / "blip-base")  # it hides the short name
    (models_dir() / "broken").mkdir()
    assert main(["models", "show", "blip-base"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "kind stored" in shown and "runs here yes: CPU, ONNX Runtime in fp32" in shown
    assert main(["models", "show", "broken"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "runs here no" in shown and shown.count("is not a model folder") == 1
    assert main(["models", "show", "mini", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs_here"]["possible"] is True and found["provenance"]["preset"] == "mini"


def test_a_downloaded_model_is_described_from_its_files(
    capsys: Captured, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from capgen.hub_client.pulled import PulledModel

    snapshot = download(cache, GIT, config={"model_type": "git"})
    PulledModel(identifier=GIT, commit=COMMIT).write()
    assert main(["models", "show", "git-base", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["kind"], found["parameters"]) == (GIT, "hub", 17)
    assert main(["models", "default", "git-base"]) == 0
    assert capsys.readouterr().out == f"{GIT}\n"  # which no folder of that short name can hide
    monkeypatch.setenv("CAPGEN_MODEL", "git-base")
    assert main(["models", "list", "--json"]) == 0
    entries = {entry["name"]: entry["default"] for entry in json.loads(capsys.readouterr().out)}
    assert entries == {"mini": False, "mini:int8": False, GIT: True}
    (snapshot / "model.safetensors").unlink()  # half a download
    assert main(["models", "show", "git-base"]) == 0
    assert "known, not downloaded" in capsys.readouterr().out
