"""Training where there is no val, or none is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.captioning.captioner import Captioner
from capgen.cli.main import main
from capgen.errors import DataError, UsageError
from capgen.models.folder import ModelFolder
from capgen.records import CheckpointSaved, EpochEvent, Notice, RunFinished, TestEvent
from capgen.training.plan.stages import resolve_plan
from capgen.training.run.train import train
from capgen.training.run.train_stages import train_stages
from tests.minis import draw
from tests.training_runs import NO_NOISE, SENTENCES, of_kind, run_config

HEART = {
    "num_epochs": 30,
    "learning_rate": 1e-2,
    "encoder_learning_rate": 3e-4,
    "warmup_steps": 5,
    "ema_decay": 0.5,
}


def few_images(folder: Path, count: int) -> Path:
    """Write a table of some images and no splits."""
    folder.mkdir()
    rows = ["image,caption"]
    for number in range(count):
        draw(number).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{SENTENCES[number]}")
    (folder / "captions.csv").write_text("\n".join(rows))
    return folder


def test_one_image_is_learned_by_heart(tmp_path: Path, mini: Path) -> None:
    data = few_images(tmp_path / "few", 1)
    events = list(train(run_config(tmp_path, data, mini, **HEART)))
    notices = [event.message for event in of_kind(Notice, events)]
    expected = "few has no val split: no validation; best-eval is the model of the last epoch"
    assert expected in notices
    assert all(event.val_loss is None for event in of_kind(EpochEvent, events))
    final = events[-1]
    assert isinstance(final, RunFinished)
    assert (final.epochs, final.best_loss, final.best_eval) == (30, None, None)
    names = [event.name for event in of_kind(CheckpointSaved, events)]
    assert names == ["last"] * 30 + ["best-eval"]
    captioner = Captioner.from_pretrained(str(tmp_path / "run" / "best-eval"), runtime="torch")
    assert captioner.caption(data / "0.png").text == SENTENCES[0]


def test_no_validation_trains_without_measuring_val(tmp_path: Path, data: Path, mini: Path) -> None:
    events = list(train(run_config(tmp_path, data, mini, validation=False)))
    assert [event.val_loss for event in of_kind(EpochEvent, events)] == [None, None]
    (notice,) = (e.message for e in of_kind(Notice, events) if "validation" in e.message)
    assert notice == "no validation; best-eval is the model of the last epoch"
    (tested,) = of_kind(TestEvent, events)
    assert tested.name == "best-eval"
    metrics = ModelFolder(tmp_path / "run" / "best-eval", "x").provenance.metrics
    assert list(metrics) == ["test"]


def test_the_command_says_how_to_try_the_model(tmp_path: Path, mini: Path, capsys) -> None:
    data = few_images(tmp_path / "few", 1)
    arguments = ["train", "--preset", "mini", "--init", str(mini), "--data-dir", str(data)]
    assert main([*arguments, "--num-epochs", "1", "--output-dir", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().err
    assert "few has no val split: no validation" in shown
    assert "Try it: capgen caption photo.jpg --model" in shown


def test_stages_go_on_from_the_last_model(tmp_path: Path, mini: Path) -> None:
    data = few_images(tmp_path / "few", 2)
    file = tmp_path / "stages.toml"
    file.write_text('[[stage]]\nname = "a"\nnum_epochs = 1\n\n[[stage]]\nname = "b"\n')
    flags = {
        **NO_NOISE, "preset": "mini", "init": str(mini), "data_dir": data, "num_epochs": 2,
        "output_dir": tmp_path / "run",
    }  # fmt: skip
    *_, final = train_stages(resolve_plan(flags, file=file))
    assert isinstance(final, RunFinished)
    assert (tmp_path / "run" / "best-eval" / "config.json").is_file()


def test_patience_needs_validations(tmp_path: Path, data: Path, mini: Path) -> None:
    few = few_images(tmp_path / "few", 1)
    with pytest.raises(UsageError, match=r"--patience counts validations.*few has no val split"):
        list(train(run_config(tmp_path, few, mini, patience=2)))
    with pytest.raises(UsageError, match=r"--patience counts validations.*--no-validation"):
        list(train(run_config(tmp_path, data, mini, patience=2, validation=False)))


def test_a_val_whose_images_are_missing_is_no_reason_to_go_without(
    tmp_path: Path, data: Path, mini: Path
) -> None:
    (data / "Flicker8k_Dataset" / "8.jpg").unlink()
    with pytest.raises(DataError, match="no images in split val"):
        list(train(run_config(tmp_path, data, mini)))
