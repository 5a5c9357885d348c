"""`capgen models …` and the default model, through the command line."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from capgen.cli.main import main
from capgen.paths import bundled_model_dir, config_file, models_dir, runs_dir

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def kept() -> Path:
    return Path(shutil.copytree(bundled_model_dir(), models_dir() / "kept"))


@pytest.mark.parametrize("columns", [60, 70, 80, 90, 140])
def test_the_list_wraps_between_words(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= columns for line in lines)
    words = " ".join(lines).split()
    assert {"mini", "mini:int8", "EfficientNet-lite2,", "GPT-2", "3×256", "CIDEr-D"} <= set(words)
    assert "," not in words
    assert ({"flickr8k", "coco_sample"} <= set(words)) == (columns >= 70)  # whole columns go
    assert ("Images" in words) == (columns >= 70)


def test_list_and_show(kept: Path, capsys: Captured) -> None:
    (models_dir() / "[red]bad").mkdir()
    assert main(["models", "list"]) == 0
    shown = capsys.readouterr()
    assert "mini" in shown.out and "kept" in shown.out and "[red]bad" in shown.out
    assert "[red]bad is broken" in shown.err
    assert main(["models", "list", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["mini"]["default"] and entries["[red]bad"]["problem"]
    assert main(["models", "show", "kept"]) == 0
    shown_entry = capsys.readouterr().out
    assert "EfficientNet-lite2" in shown_entry and "train 8929, val 1300" in shown_entry
    assert "{'" not in shown_entry
    assert main(["models", "show", "kept", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["preset"] == "mini"


def test_the_list_fits_80_columns(
    kept: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("somebody-s-rather-long-name", "clip-gpt2-20261126-201200-best-eval"):
        kept = kept.rename(kept.with_name(name))
        assert main(["models", "list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert all(len(line) <= 80 for line in lines)
        # Names are whole: they are typed again.
        assert any(f" {name} " in line for line in lines)
        (mini,) = (line.split() for line in lines if " mini " in line)
        assert any(cell.startswith("EfficientNet") for cell in mini) and "test" in mini
    heads = " ".join(lines[:2])
    assert "Images" not in heads and "CIDEr-D" in heads


def test_a_run_without_an_epoch_is_not_called_broken(capsys: Captured) -> None:
    run = runs_dir() / "young"
    run.mkdir(parents=True)
    (run / "config.toml").write_text('preset = "mini"\n')
    assert main(["models", "list"]) == 0
    out, err = capsys.readouterr()
    assert "no epoch yet" in out and "broken" not in out + err
    assert "young has no epoch yet; capgen train --resume young goes on with it" in err
    # A run that has a broken model is broken.
    (run / "last").mkdir()
    (run / "last" / "config.json").write_text("{")
    assert main(["models", "list"]) == 0
    assert "young/last is broken" in capsys.readouterr().err


def test_names_are_whole_however_long_they_are(
    kept: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for length in (50, 60, 70, 76):
        kept = kept.rename(kept.with_name("n" * length))
        assert main(["models", "list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert any(kept.name in line.split() for line in lines)
        assert all(len(line) <= 80 for line in lines)
    owner = models_dir() / "somebody"
    owner.mkdir()
    kept.rename(owner / ("m" * 79))  # wider than the terminal
    assert main(["models", "list"]) == 0
    assert f"somebody/{'m' * 79}" in capsys.readouterr().out.split()


def make_run(name: str, *files: str, hours: float = 2.0) -> Path:
    """Make a run that changed some hours ago."""
    run = runs_dir() / name
    for file in ("config.toml", *files):
        (run / file).parent.mkdir(parents=True, exist_ok=True)
        (run / file).write_text("{")
    (run / "config.toml").write_text('preset = "mini"\n')
    then = time.time() - 3600 * hours
    for path in (*run.rglob("*"), run):
        os.utime(path, (then, then))
    return run


def test_a_finished_run_whose_models_were_removed_has_nothing_to_go_on_with(
    capsys: Captured,
) -> None:
    run = make_run("over")
    (run / "events.jsonl").write_text('{"event": "step"}\n{"event": "run_finished"}\n')
    assert main(["models", "list"]) == 0
    out, err = capsys.readouterr()
    assert "over is broken: its models were removed" in err
    assert "no epoch yet" not in out and "--resume" not in err


def test_pruning_removes_what_is_of_no_use(kept: Path, capsys: Captured) -> None:
    useless, broken = make_run("useless"), make_run("half", "last/config.json")
    shutil.copytree(kept, broken / "best-eval")
    os.utime(broken, (0, 0))
    for path in broken.rglob("*"):
        os.utime(path, (0, 0))
    resumable = make_run("resumable", "state/step-00000010-epoch-00000/state.json")
    staged = make_run("staged", "stages/1-a/state/step-00000010-epoch-00000/state.json")
    running = make_run("running", hours=0.1)
    assert main(["models", "prune"]) == 2  # nobody to ask
    out, err = capsys.readouterr()
    assert "--yes" in err and useless.is_dir() and out == ""
    assert "resumable: no epoch yet; kept: it can go on: capgen train --resume resumable" in err
    assert "running: no epoch yet; kept: it changed less than an hour ago" in err
    assert main(["models", "prune", "--yes"]) == 0
    removed = {line.removeprefix("Removed ") for line in capsys.readouterr().out.splitlines()}
    assert removed == {str(useless), str(broken / "last")}
    assert not useless.exists() and not (broken / "last").exists()
    for place in (resumable, staged, running, broken / "best-eval", kept):
        assert place.is_dir()
    assert main(["models", "prune"]) == 0
    assert "nothing to remove" in capsys.readouterr().err


def test_the_default_is_what_caption_uses(
    kept: Path, images: list[Path], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used() -> str:
        assert main(["caption", str(images[0]), "--json"]) == 0
        return json.loads(capsys.readouterr().out)[0]["model"]

    assert used() == "mini"
    assert main(["models", "default", "kept"]) == 0
    assert capsys.readouterr().out == "kept\n"
    assert used() == "kept"
    monkeypatch.setenv("CAPGEN_MODEL", str(kept))
    assert used() == str(kept)
    assert main(["caption", str(images[0]), "--json", "--model", "mini"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["model"] == "mini"
    monkeypatch.delenv("CAPGEN_MODEL")
    assert main(["models", "rename", "kept", "mine"]) == 0
    capsys.readouterr()
    assert used() == "mine"
    assert main(["models", "remove", "mine", "--yes"]) == 0
    capsys.readouterr()
    assert used() == "mini"


def test_a_default_that_is_not_there_is_not_written(capsys: Captured) -> None:
    assert main(["models", "default", "./nothing"]) == 1
    assert not config_file().exists()
    assert main(["models", "default", "mini", "--unset"]) == 2


def test_removing_asks(kept: Path, capsys: Captured) -> None:
    assert main(["models", "remove", "kept"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert kept.is_dir()
    assert main(["models", "remove", "mini", "--yes"]) == 2
    assert main(["models", "remove", str(kept), "--yes"]) == 2
    assert kept.is_dir() and bundled_model_dir().is_dir()
    assert main(["models", "remove", "kept", "--yes"]) == 0
    assert not kept.exists()


def test_test_and_verify(kept: Path, images: list[Path], capsys: Captured, tmp_path: Path) -> None:
    assert main(["models", "test", "kept", str(images[0])]) == 0
    caption = capsys.readouterr().out.strip()
    assert main(["models", "test", "kept", str(images[0]), str(tmp_path / "no.jpg"), "--json"]) == 1
    (record,) = json.loads(capsys.readouterr().out)
    assert record["caption"] == caption and record["seconds"] > 0
    (kept / "tokenizer.json").unlink()
    assert main(["models", "verify", "kept", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["kept"]
    assert [check["name"] for check in found if check["ok"] is False] == ["hash of tokenizer.json"]


def test_export_refuses_what_it_does_not_know(capsys: Captured) -> None:
    assert main(["models", "export", "mini", "--format", "tflite"]) == 2
    assert main(["models", "export", "mini", "--int8"]) == 2
    assert main(["models", "export", "mini", "--photos", "x"]) == 2
