"""`capgen train --save-to-hub`: pushed when training ends, and kept when that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen import Captioner
from capgen.cli.main import main
from capgen.hub.push import plan_push
from capgen.models.folder import ModelFolder
from tests.fakes import draw_image
from tests.hub_stand_in import Fault, Hub
from tests.integration.hub.pushing import TOKEN, check_stored
from tests.minis import write_flickr8k
from tests.tiny_models import save_tiny_mini
from tests.training_runs import SENTENCES, eight_images


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("training")
    data = write_flickr8k(folder / "data", eight_images())
    mini = save_tiny_mini(folder / "mini", SENTENCES)
    options = ["--num-epochs", "1", "--batch-size", "8", "--no-eval", "--no-test"]
    where = ["--preset", "mini", "--init", str(mini), "--data-dir", str(data), "--device", "cpu"]
    return ["train", *where, *options]


def test_the_best_model_is_pushed(hub: Hub, arguments, tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.setenv("HF_REPO_NAME", "me/trained")
    monkeypatch.setenv("HF_PRIVATE", "true")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HUGGINGFACE_TOKEN", TOKEN)
    run = tmp_path / "run"
    assert main([*arguments, "--output-dir", str(run)]) == 0
    said = capfd.readouterr()
    assert said.out == f"{run}\n"
    assert "pushed to" in said.err and TOKEN not in said.err
    assert hub.written["me/trained"].private
    check_stored(hub, plan_push(ModelFolder(run / "best-eval", "run/best-eval"), "me/trained"))
    for file in run.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes()
    assert str(tmp_path).encode() not in b"".join(f.read_bytes() for f in hub.store.iterdir())


def test_a_failed_push_keeps_the_run(hub: Hub, arguments, tmp_path: Path, capfd) -> None:
    hub.faults = [Fault("POST", "/commit/", 500, times=9)]
    run = tmp_path / "run"
    options = ["--output-dir", str(run), "--save-to-hub", "me/trained", "--private"]
    assert main([*arguments, *options]) == 3
    said = capfd.readouterr()
    assert said.out == f"{run}\n"
    later = f"capgen hub push {run / 'best-eval'} me/trained --private"
    assert "not pushed" in said.err and later in said.err
    assert Captioner.from_pretrained(run / "best-eval").caption(draw_image(0)).text is not None
    hub.faults = []
    assert main([*later.split()[1:], "--message", "Later"]) == 0
    assert "Later" in hub.written["me/trained"].messages.values()


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        (["--save-to-hub", "nothing"], {}, "USER/NAME"),
        (["--private"], {}, "--save-to-hub"),
        ([], {"HF_REPO_NAME": "me/x", "HF_PRIVATE": "perhaps"}, "HF_PRIVATE"),
        (["--save-to-hub", "me/x"], {"HF_TOKEN": ""}, "token"),
    ],
)
def test_what_cannot_be_pushed_is_said_before_training(
    options, environment, words, hub: Hub, arguments, tmp_path: Path, monkeypatch, capsys
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main([*arguments, "--output-dir", str(tmp_path / "run"), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_other_commands_know_nothing_of_it(hub: Hub, monkeypatch, images, capsys) -> None:
    monkeypatch.setenv("HF_REPO_NAME", "me/trained")
    assert main(["caption", str(images[0])]) == 0
    assert hub.requests == []
