"""Training with captions that have no image."""

from __future__ import annotations

import json

import numpy as np
import pytest

from capgen.cli.main import main
from capgen.errors import CapgenError
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.records import EpochEvent, Notice, StepEvent
from capgen.training.run.train import resume, train
from tests.integration.training.test_resume import NOISE, assert_same, weights
from tests.training_runs import of_kind, run_config, stop_at, whole_and_resumed

TEXT = "a lighthouse stands on a cliff\na lighthouse near the sea\nan espresso on a table\n"


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


def test_the_decoder_learns_captions_without_images(tmp_path, data, mini, text):
    config = run_config(
        tmp_path, data, mini, text_data=text, min_count=1, num_epochs=20, warmup_steps=0,
        learning_rate=1e-2, text_weight=1.0,
    )  # fmt: skip
    losses = [epoch.train_numbers["text"] for epoch in of_kind(EpochEvent, list(train(config)))]
    assert losses[-1] < 0.5 * losses[0]


def test_their_words_enter_the_vocabulary(tmp_path, data, mini, text):
    events = list(train(run_config(tmp_path, data, mini, text_data=text, min_count=1)))
    vocabulary = load_captioning(
        ModelFolder(tmp_path / "run" / "last", "last")
    ).tokenizer.get_vocab()
    assert {"lighthouse", "espresso", "cliff"} <= {*vocabulary}
    assert any("lighthouse" in notice.message for notice in of_kind(Notice, events))


def test_the_saved_model_has_no_more_weights_than_without(tmp_path, data, mini, text):
    names = []
    for name, more in (("with", {"text_data": text}), ("without", {})):
        config = run_config(tmp_path, data, mini, output_dir=tmp_path / name, min_count=99, **more)
        list(train(config))
        model = load_captioning(ModelFolder(config.output_dir / "last", "last")).model
        names.append({key: value.shape for key, value in model.state_dict().items()})
    assert names[0] == names[1]


def test_text_of_weight_zero_changes_nothing(tmp_path, data, mini, text):
    runs = []
    for name, more in (("with", {"text_data": text, "text_weight": 0.0}), ("without", {})):
        config = run_config(
            tmp_path, data, mini, output_dir=tmp_path / name, min_count=99, **NOISE, **more
        )
        list(train(config))
        runs.append(weights(config.output_dir))
    assert runs[0] == runs[1]


def test_a_resumed_run_ends_the_same(tmp_path, data, mini, text):
    common = {**NOISE, "text_data": text, "min_count": 1, "save_every": 1}
    assert_same(*whole_and_resumed(run_config(tmp_path, data, mini, **common), 4))


def test_how_a_step_is_cut_changes_nothing_but_rounding(tmp_path, data, mini, text):
    losses = []
    for name, size in (("whole", {"batch_size": 4}), ("cut", {"batch_size": 2, "accumulation": 2})):
        config = run_config(
            tmp_path, data, mini, output_dir=tmp_path / name, text_data=text, min_count=1,
            num_epochs=1, text_captions_per_image=2, **size,
        )  # fmt: skip
        steps = of_kind(StepEvent, list(train(config)))
        losses.append([(step.loss, step.numbers["text"]) for step in steps])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_the_record_counts_the_captions_and_a_changed_file_is_noticed(tmp_path, data, mini, text):
    config = run_config(tmp_path, data, mini, text_data=text, save_every=1, num_epochs=3)
    stop_at(config, 4)
    environment = json.loads((tmp_path / "run" / "environment.json").read_text(encoding="utf-8"))
    assert environment["data"]["text"]["captions"] == 3
    text.write_text(TEXT + "a new caption\n", encoding="utf-8")
    with pytest.raises(CapgenError, match="data"):
        list(resume(tmp_path / "run"))


def test_captions_of_validation_images_are_not_learned(tmp_path, data, mini, text):
    lines = (data / "Flickr8k_text" / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines()
    (dev,) = (
        (data / "Flickr8k_text" / "Flickr_8k.devImages.txt").read_text(encoding="utf-8").split()[:1]
    )
    caption = next(line.split("\t")[1] for line in lines if line.startswith(dev))
    text.write_text(TEXT + caption.upper() + "\n", encoding="utf-8")
    events = list(train(run_config(tmp_path, data, mini, text_data=text, num_epochs=1)))
    assert any("Left out 1 captions" in notice.message for notice in of_kind(Notice, events))


def test_self_critical_training_learns_text_with_the_share_of_cross_entropy(
    tmp_path, data, mini, text
):
    common = {"objective": "scst", "num_epochs": 1, "min_count": 99, "text_data": text}
    first = {}
    for name, share in (("some", 0.5), ("none", 0.0)):
        config = run_config(
            tmp_path, data, mini, output_dir=tmp_path / name, cross_entropy_share=share, **common
        )
        step = of_kind(StepEvent, list(train(config)))[0]
        first[name] = step.loss, step.numbers["text"], step.numbers["cross_entropy"]
    loss, text_loss, entropy = first["some"]
    assert text_loss > 0
    assert loss - first["none"][0] == pytest.approx(
        0.5 * entropy + 0.5 * config.text_weight * text_loss, rel=1e-3
    )


def test_a_dry_run_finds_text_that_cannot_be_used(tmp_path, data, mini, capsys):
    command = ["train", "--init", str(mini), "--data-dir", str(data), "--dry-run", "--text-data"]
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    for name, said in (("none.txt", "Cannot read"), ("empty.txt", "has no captions")):
        assert main([*command, str(tmp_path / name)]) == 1
        assert said in capsys.readouterr().err
