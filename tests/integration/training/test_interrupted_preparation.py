"""Ctrl-C before training: what was prepared is told and kept, and the run goes on."""

from __future__ import annotations

import pytest

from capgen.cli.main import main
from capgen.data.cache import images as cache
from capgen.training.data import frozen_features
from capgen.training.objectives.distill import teacher_captions
from tests.tiny_models import save_tiny_mini
from tests.training_runs import SENTENCES


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def arguments(data, mini, run):
    given = ["train", "--preset", "mini", "--init", str(mini), "--data-dir", str(data)]
    given += ["--num-epochs", "1", "--device", "cpu", "--no-eval", "--workers", "1"]
    return [*given, "--output-dir", str(run)]


def interrupted(capsys, arguments):
    """Run the command until Ctrl-C; return its messages."""
    assert main(arguments) == 130
    return capsys.readouterr().err.splitlines()


def test_decoded_images_are_kept(data, arguments, run, monkeypatch, capsys):
    decode, calls = cache.decode, []

    def until_ctrl_c(file, shape):
        calls.append(file)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return decode(file, shape)

    monkeypatch.setattr(cache, "_BATCH", 4)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "decode", until_ctrl_c)
        lines = interrupted(capsys, arguments)
    assert lines[0] == f"run: {run}"
    told = "stopped before training, decoding images (train): 4 of 8 done; what is done is kept"
    assert told in lines
    assert f"Go on: capgen train --resume {run}" in lines
    monkeypatch.setattr(cache, "decode", lambda *given: calls.append(given[0]) or decode(*given))
    calls.clear()
    assert main(["train", "--resume", str(run)]) == 0
    assert len([file for file in calls if int(file.stem) < 8]) == 4
    # Once training has begun, its own messages say how to go on.
    assert "stopped before" not in capsys.readouterr().err


def test_features_are_kept(arguments, run, monkeypatch, capsys):
    computed, most = [], 6

    def runner(front):
        compute = frozen_features._torch_runner(front._module, front.device)

        def run(pixels):
            if sum(computed) + len(pixels) > most:
                raise KeyboardInterrupt
            computed.append(len(pixels))
            return compute(pixels)

        return run, ""

    monkeypatch.setattr(frozen_features, "_BATCH", 2)
    monkeypatch.setattr(frozen_features.FrozenFront, "runner", runner)
    monkeypatch.setattr("capgen.training.data.feature_cache._SECONDS_BETWEEN_EVENTS", 0.0)
    lines = interrupted(capsys, [*arguments, "--train-encoder", "none"])
    told = "stopped before training, encoding images (train): 6 of 8 done; what is done is kept"
    assert told in lines
    assert f"Go on: capgen train --resume {run}" in lines
    # A run that goes on, and is stopped once more, is told the same.
    lines = interrupted(capsys, ["train", "--resume", str(run)])
    assert told in lines
    assert f"Go on: capgen train --resume {run}" in lines
    computed.clear()
    most = 100
    assert main(["train", "--resume", str(run)]) == 0
    assert sum(computed) == 2 + 2  # the rest of train, and val and test


def test_teachers_captions_are_kept(tmp_path, arguments, run, monkeypatch, capsys):
    teacher = save_tiny_mini(tmp_path / "teacher", SENTENCES)
    generate, asked = teacher_captions._generate, []

    def until_ctrl_c(captioner, examples, options):
        asked.append(len(examples))
        yield from generate(captioner, examples[:3], options)
        raise KeyboardInterrupt

    monkeypatch.setattr(teacher_captions, "_SECONDS_BETWEEN_EVENTS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(teacher_captions, "_generate", until_ctrl_c)
        lines = interrupted(capsys, [*arguments, "--teacher", str(teacher)])
    told = "stopped before training, teacher's captions (train): 3 of 8 done; what is done is kept"
    assert told in lines
    assert f"Go on: capgen train --resume {run}" in lines

    def rest(captioner, examples, options):
        asked.append(len(examples))
        return generate(captioner, examples, options)

    monkeypatch.setattr(teacher_captions, "_generate", rest)
    assert main(["train", "--resume", str(run)]) == 0
    assert asked == [8, 5]
